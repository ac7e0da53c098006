"""The Pulumi CLI as this command runs it: in any shell, prepared or not, and with its errors in one line."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ops.errors import NoSuchStackError, OpsError, PulumiError, UnknownError
from ops.locks import check_unlocked

REPO = Path(__file__).resolve().parents[1]
_NO_TOOLS = "the Pulumi CLI is not on this machine yet: run `make tools`"


@dataclass(frozen=True)
class Pulumi:
    """Runs `pulumi` in the checkout, with the environment that `python3 -m tools shell` would have set."""

    environ: Mapping[str, str] = field(repr=False)

    @classmethod
    def prepared(cls, environ: Mapping[str, str] = os.environ) -> Pulumi:
        """Raises UnknownError if the environment can't be worked out."""
        from tools.errors import ToolError  # noqa: PLC0415 - no verb but those that need a stack
        from tools.shell import environment  # noqa: PLC0415

        try:
            return cls({**environ, **environment(REPO, environ)})
        except ToolError as error:
            raise UnknownError(str(error)) from None

    @cached_property
    def state(self) -> Path:
        """The folder that is kept for this user's stacks: Pulumi's own files, passphrase, CA certificates."""
        from tools.places import Places  # noqa: PLC0415

        return Places.of(REPO, self.environ).state

    def start(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Begin `pulumi ARGUMENTS` and return at once; `answer` waits for it."""
        try:
            return subprocess.Popen(
                ["pulumi", *arguments, "--non-interactive", "--color=never"],
                cwd=REPO,
                env=dict(self.environ),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        except FileNotFoundError:
            raise UnknownError(_NO_TOOLS) from None

    def answer(self, process: subprocess.Popen[str], stack: str = "", told: str | None = None) -> str:
        """What it printed. Raises UnknownError (no such stack, wrong passphrase) and PulumiError."""
        out, err = process.communicate(told)
        if process.returncode:
            raise self._failure(err or out, stack)
        return out

    def ask(self, *arguments: str, stack: str = "") -> str:
        """`start` and `answer` in one."""
        return self.answer(self.start(*arguments, *_select(stack)), stack)

    def tell(self, secret: str, *arguments: str, stack: str) -> None:
        """The same with something on its standard input: arguments are seen by whoever lists processes."""
        self.answer(self.start(*arguments, *_select(stack), stdin=subprocess.PIPE), stack, secret)

    def run(self, *arguments: str, stack: str) -> None:
        """Run it in front of the user. Raises OpsError if it fails; it has said why itself."""
        check_unlocked(stack, self.environ)
        sys.stdout.flush()  # what was said before stands before what Pulumi says
        interrupted = False
        try:
            process = subprocess.Popen(["pulumi", *arguments, *_select(stack)], cwd=REPO, env=dict(self.environ))
        except FileNotFoundError:
            raise UnknownError(_NO_TOOLS) from None
        while process.returncode is None:
            try:
                process.wait()
            except KeyboardInterrupt:  # the terminal sent it to Pulumi too, which ends in good order by itself
                interrupted = True
        if interrupted:
            raise KeyboardInterrupt
        if process.returncode:
            raise OpsError(f"`pulumi {' '.join(arguments)}` ended with {process.returncode}: it says why above")

    def stacks(self) -> list[str]:
        """Names of the stacks there are."""
        found = json.loads(self.ask("stack", "ls", "--json"))
        return sorted(short(str(it["name"])) for it in found)

    def _failure(self, said: str, stack: str) -> OpsError:
        said = said.strip()
        if "no stack named" in said or "unable to open state directory" in said:
            return self._no_such_stack(said, stack)
        if "passphrase" in said:
            return UnknownError(
                f"the passphrase does not open stack {stack}: PULUMI_CONFIG_PASSPHRASE or the file that "
                f"PULUMI_CONFIG_PASSPHRASE_FILE names ({self.environ.get('PULUMI_CONFIG_PASSPHRASE_FILE', 'unset')}) "
                "is not the one it was made with"
            )
        lines = [line.removeprefix("error: ") for line in said.splitlines() if line.strip()]
        errors = [line.removeprefix("error: ") for line in said.splitlines() if line.startswith("error: ")]
        return PulumiError(f"Pulumi: {(errors or lines or ['it failed and said nothing'])[0]}")

    def _no_such_stack(self, said: str, stack: str) -> NoSuchStackError:
        known: list[str] = []
        with contextlib.suppress(OpsError):
            known = self.stacks() if "no stack named" in said else []
        there = f"there are {', '.join(known)}" if known else "there is none yet"
        return NoSuchStackError(f'no stack is called "{stack}": {there} (`make up STACK={stack}` makes this one)')


def short(name: str) -> str:
    """A stack's name without `organization/project/`."""
    return name.rpartition("/")[2]


def _select(stack: str) -> tuple[str, ...]:
    return ("--stack", stack) if stack else ()
