"""Database URLs: checked before anything connects, and never shown with their password.

The form is libpq's (PostgreSQL manual, 34.1.1.2) narrowed to what the pooled, direct and read-only URLs of this project
and of the managed providers use, so that a typing error is found here and not by a driver.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from db.errors import URLError

if TYPE_CHECKING:
    import sqlalchemy

SCHEMES = ("postgresql", "postgres")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
PARAMETERS = (
    "sslmode",
    "sslrootcert",
    "channel_binding",  # Neon's URLs carry it
    "connect_timeout",
    "application_name",
    "options",  # Neon: options=endpoint%3D<id> for clients without SNI
    "target_session_attrs",
)
DEFAULT_PORT = 5432
_MAX_PORT = 65535
_FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full"


def redact(text: str) -> str:
    """`text` without what may be a password, whether or not it is a well-formed URL; always one line.

    Everything from the first colon of the authority to the last @ goes: a password may itself hold / ? # or @.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    before, at, after = rest.rpartition("@")
    if at:
        user, colon, _ = before.partition(":")
        shown = f"{scheme}{separator}{user}{colon and ':***'}@{after}"
    else:  # without an @, what follows a colon is a port, or a password whose host was forgotten
        shown = scheme + separator + re.sub(r":(?!\d*(?:[/?#]|$)).*", ":***", rest, count=1, flags=re.DOTALL)
    shown = re.sub(r"(?i)(password\s*=\s*)('[^']*'|[^\s&]+)", r"\1***", shown)
    return "".join(character if character.isprintable() else "?" for character in shown)


@dataclass(frozen=True)
class DatabaseURL:
    """One database on one server, as one user. `str()` and `repr()` are redacted."""

    user: str
    host: str
    database: str
    port: int = DEFAULT_PORT
    password: str | None = field(default=None, repr=False)
    parameters: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> DatabaseURL:
        """Read a URL. Raises URLError: one line with the value redacted and what was expected."""
        complaint = _Complaint(text)
        if not text.strip():
            raise URLError(f"the database URL is empty: give {_FORM}")
        if not text.isprintable() or " " in text:
            raise complaint("contains a blank or control character: percent-encode it (a blank is %20)")
        parts = _split(text, complaint)
        authority, _, place = parts.netloc.rpartition("@")
        if "@" in authority:
            raise complaint("has more than one @: write @ in the password as %40")
        user, colon, password = authority.partition(":")
        if not user:
            raise complaint("has no user name")
        host, port = _place(place, complaint)
        database = unquote(parts.path.removeprefix("/"))
        if not database:
            raise complaint("names no database: add /DATABASE after the host")
        if "/" in database:
            raise complaint(f'has "{parts.path}" where the database\'s name stands: give one name')
        return cls(
            user=unquote(user),
            host=host,
            database=database,
            port=port,
            password=unquote(password) if colon else None,
            parameters=_parameters(parts.query, complaint),
        )

    @property
    def sslmode(self) -> str | None:
        """The URL's sslmode, None where it leaves the choice to the driver."""
        return dict(self.parameters).get("sslmode")

    def redacted(self) -> str:
        """The URL with *** for the password."""
        secret = ":***" if self.password is not None else ""
        host = quote(self.host, safe="") if self.host.startswith("/") else self.host
        host = f"[{host}]" if ":" in host else host
        query = "&".join(f"{key}={quote(value, safe='/')}" for key, value in self.parameters)
        return (
            f"postgresql://{quote(self.user, safe='')}{secret}@{host}:{self.port}/{quote(self.database, safe='')}"
            + (f"?{query}" if query else "")
        )

    __str__ = redacted

    def conninfo(self, ca_file: str | Path | None = None) -> dict[str, str]:
        """Keywords for `psycopg.connect`; `ca_file` is the server's CA (else libpq reads PGSSLROOTCERT)."""
        keywords = {
            "host": self.host,
            "port": str(self.port),
            "user": self.user,
            "dbname": self.database,
            **dict(self.parameters),
        }
        if self.password is not None:
            keywords["password"] = self.password
        if ca_file is not None:
            keywords["sslrootcert"] = str(ca_file)
        return keywords

    def sqlalchemy(self) -> sqlalchemy.URL:
        """The same for `sqlalchemy.create_engine`, with psycopg as the driver."""
        from sqlalchemy import URL  # noqa: PLC0415  # keeps this module light

        return URL.create(
            "postgresql+psycopg",
            username=self.user,
            password=self.password,
            host=self.host,
            port=self.port,
            database=self.database,
            query=dict(self.parameters),
        )


class _Complaint:
    """Makes the errors of one URL, so that each shows it redacted and in the same form."""

    def __init__(self, text: str) -> None:
        self._shown = redact(text)

    def __call__(self, what: str) -> URLError:
        return URLError(f'the database URL "{self._shown}" {what}')


def _split(text: str, complaint: _Complaint) -> SplitResult:
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise complaint(f"is no URL: give {_FORM}")
    if scheme not in SCHEMES:
        raise complaint(f'has the scheme "{scheme}": use postgresql')
    # a / ? or # in a password ends the authority early, and what follows would be taken for a database's name
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in rest[len(authority) :]:
        raise complaint("has an @ after its host: write / ? # @ in a password as %2F %3F %23 %40")
    if "#" in rest:
        raise complaint("contains #: write it as %23")
    try:
        return urlsplit(text)
    except ValueError as error:  # unbalanced brackets around an IPv6 address
        raise complaint(f"has no valid host ({error})") from None


def _place(place: str, complaint: _Complaint) -> tuple[str, int]:
    if place.startswith("["):
        host, _, rest = place[1:].partition("]")
        port_text = rest.removeprefix(":")
    else:
        host, _, port_text = place.partition(":")
    host = unquote(host)
    if not host:
        raise complaint("names no host")
    if "," in place:
        raise complaint("names several hosts: give one")
    if not port_text:
        return host, DEFAULT_PORT
    if not port_text.isascii() or not port_text.isdigit() or not 1 <= int(port_text) <= _MAX_PORT:
        raise complaint(f'has the port "{port_text}": give a number from 1 to {_MAX_PORT}')
    return host, int(port_text)


def _parameters(query: str, complaint: _Complaint) -> tuple[tuple[str, str], ...]:
    pairs = parse_qsl(query, keep_blank_values=True)
    names = [name for name, _ in pairs]
    for name, value in pairs:
        if name not in PARAMETERS:
            raise complaint(f'has the unknown parameter "{name}": known are {", ".join(PARAMETERS)}')
        if names.count(name) > 1:
            raise complaint(f'gives "{name}" twice')
        if not value:
            raise complaint(f'gives no value to "{name}"')
        if name == "sslmode" and value not in SSL_MODES:
            raise complaint(f'has sslmode "{value}": use one of {", ".join(SSL_MODES)}')
        if name == "connect_timeout" and not (value.isascii() and value.isdigit()):
            raise complaint(f'has connect_timeout "{value}": give whole seconds')
    return tuple(pairs)
