"""One application's database, or one of its tables, as they are named after `--database` and `--table`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ops.errors import UnknownError
from ops.stack import Stack

_NAME = re.compile(r"[^\W\d][\w$]{0,62}")


@dataclass(frozen=True)
class Table:
    """A table in the database of `app`; `schema` is the app's own unless another one was named."""

    app: str
    schema: str
    name: str

    @property
    def copies(self) -> str:
        """The schema beside the app's in which a copy of the table is put."""
        return f"{self.app}_before"

    @property
    def original(self) -> str:
        """Quoted, as it stands in SQL."""
        return f'"{self.schema}"."{self.name}"'

    @property
    def copy(self) -> str:
        """The same of its copy."""
        return f'"{self.copies}"."{self.name}"'

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def table(text: str) -> Table:
    """`maps.users`, or `maps.public.users` for one outside the app's schema, as the catalogue spells it.

    Raises UnknownError for anything else.
    """
    parts = text.split(".")
    if len(parts) not in {2, 3} or not all(_NAME.fullmatch(it) for it in parts):
        raise UnknownError(
            f'--table "{text}" names no table: give APP.TABLE, such as maps.users, or APP.SCHEMA.TABLE, without quotes'
        )
    app, *schema, name = parts
    found = Table(app, schema[0] if schema else app, name)
    if found.schema == found.copies:
        raise UnknownError(
            f"--table {text}: {found.copies} is where copies are put; give the table that it is a copy of"
        )
    return found


def database(stack: Stack, app: str) -> str:
    """The name of the database of `app`, which is its own.

    Raises UnknownError for an app that the stack does not have, or that lives in another one's database.
    """
    from db import apps  # noqa: PLC0415 - slow imports come after what fails fast

    name = stack.parsed(app, "direct").database
    if apps.host(app) != app:
        raise UnknownError(
            f"{app} lives in the database of {name}, which comes back as a whole: --database {name}, or"
            f" --table {app}.TABLE for one of its tables"
        )
    return name
