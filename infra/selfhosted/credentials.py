"""Passwords, the repository's key and the ports: chosen once, kept in the state."""

import secrets
import socket
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from infra.selfhosted.stack import kept

_ALPHABET = string.ascii_letters + string.digits  # nothing that a URL would have to escape
_LENGTH = 32  # 190 bits; Neon asks for 60 at least


@dataclass(frozen=True)
class AppPasswords:
    """One application's three logins: owner (migrations), application, readonly. All secret."""

    owner: pulumi.Output[str]
    application: pulumi.Output[str]
    readonly: pulumi.Output[str]


class Credentials(pulumi.ComponentResource):
    """Everything about a stack that is random.

    Outputs: `passwords` (application to AppPasswords), `repository_keys` and `offsite_keys` (number to secret str).
    """

    def __init__(
        self,
        name: str,
        apps: Sequence[str],
        keys: Sequence[int] = (1,),
        *,
        lasting: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgstack:selfhosted:Credentials", name, None, opts)
        self._name = name
        self.repository_keys = {
            it: kept(f"{name}-repository-key{suffix(it)}", password(), self, lasting=lasting) for it in keys
        }
        # there whether it is used or not: a protected one could not go when the off-site repository does
        self.offsite_keys = {
            it: kept(f"{name}-offsite-key{suffix(it)}", password(), self, lasting=lasting) for it in keys
        }
        self.passwords: Mapping[str, AppPasswords] = {
            app: AppPasswords(
                owner=kept(f"{name}-{app}-owner-1", password(), self),
                application=kept(f"{name}-{app}-app-1", password(), self),
                readonly=kept(f"{name}-{app}-readonly-1", password(), self),
            )
            for app in apps
        }
        self.register_outputs({})

    def port(self, name: str, wanted: int) -> pulumi.Output[int]:
        """The wanted port, or (0) a free one that stays the same for ever: Docker's own choice changes at a restart."""
        if wanted:
            return pulumi.Output.from_input(wanted)
        return kept(f"{self._name}-{name}-port", free_port(), self, secret=False).apply(int)


def suffix(key: int) -> str:
    """What the names of a repository's key end with; the first one's as before there were others."""
    return "" if key == 1 else f"-{key}"


def password() -> str:
    """A new random password."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def free_port() -> int:
    """A TCP port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
