"""Hooks: steps that run between resources. What they say is shown in clear, so it is redacted here, in one place."""

import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pulumi

from infra.errors import DeploymentError

_URL_PASSWORD = re.compile(r"(\w+://[^:/@\s]+:)[^@\s]+@")
_NAMED_SECRET = re.compile(r"(?i)(pass(?:word|phrase|wd)?|secret|cipher-pass|token)(\s*[=:]\s*)('[^']*'|\S+)")
_VERIFIER = re.compile(r"SCRAM-SHA-256\$\S+")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)

T = TypeVar("T")
Step = Callable[[pulumi.ResourceHookArgs], Awaitable[None]]


def redact(text: str) -> str:
    """`text` without passwords in URLs or assignments, password verifiers and private keys."""
    text = _PRIVATE_KEY.sub("[private key]", text)
    text = _VERIFIER.sub("[verifier]", text)
    text = _URL_PASSWORD.sub(r"\1***@", text)
    return _NAMED_SECRET.sub(r"\1\2***", text)


def step(name: str, run: Step, *, in_preview: bool = False) -> pulumi.ResourceHook:
    """A hook that runs `run`; its failure stops the update with the redacted message and nothing else."""

    async def guarded(args: pulumi.ResourceHookArgs) -> None:
        try:
            await run(args)
        except Exception as error:  # noqa: BLE001 - whatever it is, only its redacted text may be shown
            raise DeploymentError(redact(str(error) or type(error).__name__)) from None

    return pulumi.ResourceHook(name, guarded, pulumi.ResourceHookOptions(on_dry_run=in_preview))


async def resolved(value: pulumi.Output[T]) -> T:
    """What `value` is now that the program runs; hooks are called when everything they need is known."""
    known = await value.future()
    assert known is not None  # noqa: S101 - None means unknown, which a preview has and an update has not
    return known


def before_change(*hooks: pulumi.ResourceHook) -> pulumi.ResourceHookBinding:
    """Run `hooks`, in order, before the resource is created and before it is updated."""
    return pulumi.ResourceHookBinding(before_create=list(hooks), before_update=list(hooks))
