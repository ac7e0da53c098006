"""Text keys that the application makes: CUID2, as `@paralleldrive/cuid2` makes them.

A CUID2 says nothing about when it was made and does not sort by time (the authors dropped that on purpose), so pages
are ordered by (created_at, id). The database makes none: a row without an id is refused there instead of getting a key
of another kind from a second generator.
"""

from __future__ import annotations

import hashlib
import string

from cuid2 import create_id, is_cuid

LENGTH = 24  # characters: the reference implementation's default, some 4e18 ids before a collision gets likely
_DIGITS = string.digits + string.ascii_lowercase

__all__ = ["LENGTH", "is_cuid", "new_id", "seeded_id"]


def new_id() -> str:
    """A new CUID2: a letter a-z, then 23 of 0-9 and a-z. For `mapped_column(default=new_id)`."""
    return create_id(LENGTH)


def seeded_id(*parts: str) -> str:
    """The id of the seeded row called `parts`: of the same form, but the same wherever and whenever it is seeded."""
    digest = hashlib.sha3_512("/".join(parts).encode()).digest()
    number = int.from_bytes(digest)
    number, letter = divmod(number, 26)
    text = string.ascii_lowercase[letter]
    while len(text) < LENGTH:
        number, digit = divmod(number, 36)
        text += _DIGITS[digit]
    return text
