"""Secrets of the application in columns: AES-256-GCM, each value bound to its place, keys that can be rotated.

The database sees only tokens, for `bytea` columns: one byte of format, one of the key id's length, the key id, 12 bytes
of nonce, then ciphertext and tag. The place (table, column, tenant, row) is authenticated with them, so that a token
copied into another row cannot be decrypted there.

Rotation: put a new key first in DB_ENCRYPTION_KEYS, `rotate` every token whose `key_id` is another, then drop the old
key. One key is good for 2^32 values (NIST SP 800-38D, 8.3: random nonces of 96 bits).
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import uuid
from collections.abc import Mapping
from types import MappingProxyType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from db.errors import DecryptionError, EncryptionError, KeyringError, UnknownKeyError

VARIABLE = "DB_ENCRYPTION_KEYS"
_FORM = f'{VARIABLE} is "ID:KEY,ID:KEY", the current key first, KEY being 32 random bytes in base64'
_FORMAT = b"\x01"
_KEY_BYTES, _NONCE_BYTES, _TAG_BYTES = 32, 12, 16
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def place(table: str, column: str, tenant: str | uuid.UUID, row: str | uuid.UUID) -> str:
    """What a value is bound to.

    Raises EncryptionError for a part that is empty or holds |, which separates them, and for None: a new object's id
    is known once it is flushed, and a value that is bound to no id could not be read back.
    """
    parts = (table, column, tenant, row)
    for name, part in zip(("table", "column", "tenant", "row"), parts, strict=True):
        if part is None:
            raise EncryptionError(
                f"the {name} of an encrypted value is None: flush a new object first, then use its id"
            )
        if not str(part) or "|" in str(part):
            raise EncryptionError(f'the {name} of an encrypted value is "{part}": it must be neither empty nor hold |')
    return "|".join(map(str, parts))


class Keyring:
    """Keys by their ids; the first encrypts, all decrypt. Its repr shows the ids only."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Raises KeyringError for an empty ring, an id that is not short and plain, or a key that is not 32 bytes."""
        if not keys:
            raise KeyringError(f"there is no encryption key: {_FORM}")
        for name, key in keys.items():
            if not _ID.fullmatch(name):
                raise KeyringError("an encryption key's id must be 1 to 64 letters, digits, dots, dashes, underscores")
            if len(key) != _KEY_BYTES:
                raise KeyringError(f'encryption key "{name}" has {len(key)} bytes: it must have {_KEY_BYTES}')
        self._keys = MappingProxyType({name: AESGCM(key) for name, key in keys.items()})
        self.current = next(iter(keys))

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Keyring:
        """From DB_ENCRYPTION_KEYS. Raises KeyringError where it is missing or malformed, without showing a key."""
        text = (os.environ if environ is None else environ).get(VARIABLE, "").strip()
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(filter(None, (it.strip() for it in text.split(","))), start=1):
            name, colon, encoded = entry.partition(":")
            if not colon:
                raise KeyringError(f"entry {number} of {VARIABLE} has no id: {_FORM}")
            if name in keys:
                raise KeyringError(f'{VARIABLE} gives the id "{name}" twice')
            try:
                keys[name] = base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                raise KeyringError(f"the key of entry {number} of {VARIABLE} is not base64: {_FORM}") from None
        return cls(keys)

    def __repr__(self) -> str:
        return f"Keyring(current={self.current!r}, ids={list(self._keys)})"

    def encrypt(self, plaintext: bytes, bound_to: str) -> bytes:
        """A token of `plaintext` under the current key, good only at `bound_to` (see `place`).

        Raises EncryptionError for what is not bytes.
        """
        if not isinstance(plaintext, bytes | bytearray | memoryview):
            raise EncryptionError(
                f"a {type(plaintext).__name__} cannot be encrypted: give bytes, text as text.encode()"
            )
        header = _FORMAT + bytes([len(self.current)]) + self.current.encode()
        nonce = os.urandom(_NONCE_BYTES)
        return header + nonce + self._keys[self.current].encrypt(nonce, plaintext, header + bound_to.encode())

    def decrypt(self, token: bytes, bound_to: str) -> bytes:
        """What was encrypted. Raises UnknownKeyError, and DecryptionError for a token that is not this place's."""
        header, sealed = _split(token)
        name = header[2:].decode()
        if name not in self._keys:
            raise UnknownKeyError(
                f'a value of {bound_to} needs encryption key "{name}": add it to {VARIABLE}, which has'
                f" {', '.join(self._keys)}"
            )
        try:
            return self._keys[name].decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], header + bound_to.encode())
        except InvalidTag:
            raise DecryptionError(
                f"the value of {bound_to} was changed, comes from another place, or its key is not the"
                f' "{name}" of {VARIABLE}'
            ) from None

    def rotate(self, token: bytes, bound_to: str) -> bytes:
        """The same value under the current key; `token` itself where it is already. Raises as `decrypt`."""
        plaintext = self.decrypt(token, bound_to)
        return token if key_id(token) == self.current else self.encrypt(plaintext, bound_to)


def key_id(token: bytes) -> str:
    """The id of the key a token was made with. Raises DecryptionError for what is no token."""
    return _split(token)[0][2:].decode()


def _split(token: bytes) -> tuple[bytes, bytes]:
    """Header, and nonce with ciphertext and tag."""
    if not isinstance(token, bytes | bytearray | memoryview):  # a driver may give the last
        raise DecryptionError(f"the value is no token of this library but a {type(token).__name__}")
    token = bytes(token)
    end = 2 + token[1] if len(token) > 1 else 0
    header, sealed = token[:end], token[end:]
    if (
        token[:1] != _FORMAT
        or len(sealed) < _NONCE_BYTES + _TAG_BYTES
        or not _ID.fullmatch(header[2:].decode("ascii", errors="replace"))
    ):
        raise DecryptionError("the value is no token of this library, or was cut short")
    return header, sealed
