"""No secret of a stack stands where somebody without the stack's passphrase could read it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.deployment import ROLES, Stack

_SECRET = "4dabf18193072939515e22adb298388d"  # the key by which a Pulumi checkpoint marks a special value
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)-----END", re.DOTALL)
_KEY_LINE = (
    64  # characters: the full lines; the last of a P-256 key (RFC 5915) is of its public half, as in certificates
)


def texts(value: Any) -> Iterator[str]:
    """All strings in nested lists and maps."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


def kept(value: Any) -> Iterator[str]:
    """All strings that the state holds as secrets, in clear."""
    if isinstance(value, dict) and _SECRET in value and "plaintext" in value:
        yield from texts(json.loads(value["plaintext"]))
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from kept(each)


def traces(secret: str) -> set[str]:
    """What of a secret is secret: a URL's password, a private key's lines, anything else whole."""
    if "-----BEGIN" in secret:  # certificates are no secret, though they may be kept beside their keys
        return {line for key in _PRIVATE_KEY.findall(secret) for line in key.split() if len(line) == _KEY_LINE}
    if secret.startswith("postgresql://"):
        return {unquote(urlsplit(secret).password or "")}
    return {secret}


@pytest.fixture(scope="module")
def secrets(stack: Stack) -> set[str]:
    """Passwords, the repository's key and lines of private keys, from the outputs and from the state."""
    state = json.loads(stack.pulumi("stack", "export", "--show-secrets").stdout)
    urls = [value for name, value in stack.outputs.items() if name.endswith("_url")]
    found = {trace for secret in [*urls, *kept(state["deployment"])] for trace in traces(secret) if len(trace) >= 16}
    passwords = {unquote(urlsplit(url).password or "") for url in urls}
    assert passwords <= found
    assert len(passwords) == len(urls) == 3 * len(stack.outputs["apps"])
    assert len([it for it in found if len(it) == 32]) >= len(passwords) + 1  # the repository's key is one more
    assert len([it for it in found if len(it) == 64]) >= 2 * 6  # lines of the keys of the CA and five leaves
    return found


def seen_in(text: str, secrets: set[str]) -> list[str]:
    """The beginnings of the secrets that occur in `text`."""
    return [f"{secret[:4]}..." for secret in secrets if secret in text]


def test_no_secret_is_in_what_docker_knows(stack: Stack, secrets: set[str]) -> None:
    engine, label = stack.engine, {"label": f"pgstack.stack={stack.prefix}"}
    containers = engine.containers.list(all=True, filters=dict(label))
    assert len(containers) == len(ROLES)
    known = [container.attrs for container in containers]
    known += [volume.attrs for volume in engine.volumes.list(filters=dict(label))]
    known += [network.attrs for network in engine.networks.list(filters=dict(label))]
    for container in containers:
        assert container.image is not None
        known += [container.image.attrs, *container.image.history()]
    assert seen_in(json.dumps(known), secrets) == []


def test_no_secret_is_in_the_state_s_plain_text(stack: Stack, secrets: set[str]) -> None:
    state = Path(stack.env["PGSTACK_STATE"])
    files = [path for path in (state / ".pulumi").rglob("*") if path.is_file()]
    files += [stack.config_file]
    assert any(path.name.startswith(stack.name) for path in files)
    assert {
        str(path): found for path in files if (found := seen_in(path.read_bytes().decode(errors="replace"), secrets))
    } == {}


def test_no_secret_is_in_a_preview_s_text(stack: Stack, secrets: set[str]) -> None:
    with stack.configured(slowQuery="501", memory="768MB", keepFull="6"):
        for form in ("--diff", "--json"):
            shown = stack.pulumi("preview", form, "--show-replacement-steps").stdout
            assert "postgres-files-written" in shown
            assert seen_in(shown, secrets) == []


def test_no_secret_is_in_a_log(stack: Stack, secrets: set[str]) -> None:
    for role in ROLES:
        assert seen_in(stack.container(role).logs().decode(errors="replace"), secrets) == []


def test_no_verifier_is_in_the_server_s_log(stack: Stack) -> None:
    assert b"SCRAM-SHA-256$" not in stack.container("postgres").logs()


def test_no_secret_is_in_a_process_s_command_line_or_environment(stack: Stack, secrets: set[str]) -> None:
    for role in ROLES:
        told = stack.execute(role, "sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'")
        assert "PATH=" in told
        assert seen_in(told, secrets) == []


def test_no_password_is_in_a_file_of_the_pooler_or_the_server(stack: Stack, secrets: set[str]) -> None:
    passwords = {secret for secret in secrets if len(secret) == 32}
    for role in ("postgres", "pooler"):
        held = stack.execute(role, "sh", "-c", "cat $(find /etc/pgstack -type f)")
        assert "BEGIN PRIVATE KEY" in held
        assert seen_in(held, passwords) == []
