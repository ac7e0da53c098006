"""`pgstack env APP`: what an application needs in its environment to reach its database."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ops.errors import OpsError
from ops.files import write
from ops.stack import Kind, Stack, StackOption

POOLER_PORT, POSTGRES_PORT = 6432, 5432  # inside the stack's network
_URLS: Mapping[str, Kind] = {
    "DATABASE_URL": "pooled",
    "POSTGRES_URL": "pooled",
    "POSTGRES_READONLY_URL": "readonly",
    "POSTGRES_DIRECT_URL": "direct",
}
_END = "-----END CERTIFICATE-----\n"


def env(
    app: Annotated[str, typer.Argument(metavar="APP", help="The application, such as maps.")],
    stack: StackOption = None,
    network: Annotated[
        bool, typer.Option("--network", help="For containers on the stack's network: they can't reach 127.0.0.1.")
    ] = False,
    ca_path: Annotated[
        str | None, typer.Option(metavar="PATH", help="With --network: where the container sees the CA certificate.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same for scripts, as one JSON object.")] = False,
) -> None:
    """Print shell exports with the app's URLs and the CA that verifies them. They hold passwords.

    DATABASE_URL and POSTGRES_URL go through the pooler, POSTGRES_READONLY_URL too, as a login that can't write;
    POSTGRES_DIRECT_URL is the schema's owner on Postgres itself, for migrations only.

    Examples:

    eval "$(pgstack env maps)" && psql "$POSTGRES_URL"

    pgstack env maps --network --ca-path /run/ca.crt   # mount $(pgstack env maps --json | jq -r .PGSSLROOTCERT) there
    """
    if ca_path and not network:
        raise typer.BadParameter("is for --network: on the host the CA certificate is written to a file of ours")
    found = Stack.read(stack)
    variables = _urls(found, app, network=network)
    if network:
        variables |= {"PGSSLROOTCERT": ca_path, "NODE_EXTRA_CA_CERTS": ca_path} if ca_path else {}
    else:
        variables |= trust(found, os.environ)
    if as_json:
        print(json.dumps(variables, indent=2))
    else:
        for name, value in variables.items():
            print(f"export {name}={shlex.quote(value)}")


def _urls(stack: Stack, app: str, *, network: bool) -> dict[str, str]:
    urls = {name: stack.url(app, kind) for name, kind in _URLS.items()}
    if network:
        places = {
            "direct": f"{stack.container('postgres')}:{POSTGRES_PORT}",
            "pooled": f"{stack.container('pooler')}:{POOLER_PORT}",
        }
        for name, kind in _URLS.items():
            urls[name] = moved(urls[name], places["direct" if kind == "direct" else "pooled"])
    return urls


def moved(url: str, place: str) -> str:
    """`url` with `place` (host:port) for its own; the certificates carry both names."""
    scheme, _, rest = url.partition("://")
    login, _, rest = rest.rpartition("@")
    return f"{scheme}://{login}@{place}/{rest.partition('/')[2]}"


def trust(stack: Stack, environ: Mapping[str, str]) -> dict[str, str]:
    """Files with the stack's CA; where the user has a file of their own in such a variable, one with both."""
    ca = stack.ca_file()
    return {
        "PGSSLROOTCERT": _with(stack, ca, environ.get("PGSSLROOTCERT"), "libpq-ca-bundle.crt"),
        "NODE_EXTRA_CA_CERTS": _with(stack, ca, environ.get("NODE_EXTRA_CA_CERTS"), "ca-bundle.crt"),
    }


def _with(stack: Stack, ca: Path, theirs: str | None, bundle: str) -> str:
    """The path of a file with the certificates of `ca` and of `theirs`.

    The same variable set twice, for another stack or again for this one, must neither lose a certificate nor grow.
    """
    if not theirs or theirs == "system" or Path(theirs) == ca:
        return str(ca)
    try:
        given = Path(theirs).read_text()
    except FileNotFoundError:
        return str(ca)  # it verified nothing before either
    except (OSError, UnicodeDecodeError) as error:
        raise OpsError(f"{theirs}, which the environment names as trusted, can't be read: {error}") from error
    own = ca.read_text().strip() + "\n"
    certificates = [it.strip() + "\n" + _END for it in given.split(_END.strip()) if "-----BEGIN CERTIFICATE-----" in it]
    if own not in certificates:
        certificates.append(own)
    return str(write(stack.folder / bundle, "".join(certificates)))
