"""The contract every target answers, whatever the databases run on."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi


@dataclass(frozen=True)
class AppUrls:
    """One application's three `postgresql://` URLs, secret, each with `sslmode=verify-full` as its only parameter."""

    pooled: pulumi.Output[str]  # application login, through the pooler
    readonly: pulumi.Output[str]  # read-only login, through the pooler
    direct: pulumi.Output[str]  # owner login on Postgres itself, for migrations only


@dataclass(frozen=True)
class Platform:
    """Where the applications' databases are, and how to prepare and protect them.

    `incarnation` changes when the databases were made anew, so that what was done to the old ones is done again.
    """

    target: str
    apps: Mapping[str, AppUrls]
    ca_certificate: pulumi.Output[str]
    incarnation: pulumi.Output[str]
    ready: Sequence[pulumi.Resource]
    bootstrap: Callable[[], Awaitable[None]]  # databases, groups, logins, schemas, extensions, grants; idempotent
    restore_point: Callable[[str], Awaitable[None]]  # returns once one can come back to here
    admit: Callable[[pulumi.Resource], None]  # declares what lets clients in, after the databases are what is wanted
    outputs: Mapping[str, pulumi.Input[Any]] = field(default_factory=dict)  # the target's own stack outputs
