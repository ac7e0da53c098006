"""Encrypted values: bound to their place, under keys that can be rotated."""

import base64
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.encryption import Keyring, key_id, place
from db.errors import DecryptionError, EncryptionError, KeyringError, UnknownKeyError

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
RING = Keyring({"k1": OLD})
HERE = place("credentials", "secret", uuid.UUID(int=1), uuid.UUID(int=2))
THERE = place("credentials", "secret", uuid.UUID(int=1), uuid.UUID(int=3))


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


@given(st.binary(max_size=200))
def test_what_is_encrypted_comes_back_and_never_looks_the_same_twice(plaintext: bytes) -> None:
    token = RING.encrypt(plaintext, HERE)

    assert RING.decrypt(token, HERE) == plaintext
    assert token != RING.encrypt(plaintext, HERE)
    assert len(plaintext) < 8 or plaintext not in token
    assert key_id(token) == "k1"


def test_a_memoryview_is_as_good_as_bytes() -> None:
    assert RING.decrypt(memoryview(RING.encrypt(b"x", HERE)), HERE) == b"x"  # type: ignore[arg-type]


@pytest.mark.requirement("bots.security.encryption-at-rest")
def test_a_token_is_no_good_in_another_row() -> None:
    with pytest.raises(
        DecryptionError, match=f"the value of {THERE.replace('|', '.')} was changed, comes from another"
    ):
        RING.decrypt(RING.encrypt(b"x", HERE), THERE)


@given(st.integers(min_value=0), st.integers(1, 255))
def test_a_token_with_any_byte_changed_is_refused(position: int, change: int) -> None:
    token = bytearray(RING.encrypt(b"secret", HERE))
    token[position % len(token)] ^= change

    with pytest.raises((DecryptionError, UnknownKeyError)) as failure:
        RING.decrypt(bytes(token), HERE)

    assert "secret" not in str(failure.value).replace("|secret|", "")


@given(st.integers(0, 37))
def test_a_token_that_was_cut_short_is_refused(length: int) -> None:
    with pytest.raises(DecryptionError):
        RING.decrypt(RING.encrypt(b"secret", HERE)[:length], HERE)


@pytest.mark.parametrize(
    "token", [b"", b"\x01", b"plain text that somebody stored", b"\x01\x02k1", b"\x01\0" + b"x" * 40]
)
def test_what_is_no_token_is_refused(token: bytes) -> None:
    with pytest.raises(DecryptionError, match="the value is no token of this library, or was cut short"):
        RING.decrypt(token, HERE)
    with pytest.raises(DecryptionError):
        key_id(token)


def test_another_key_of_the_same_id_does_not_decrypt() -> None:
    with pytest.raises(DecryptionError, match='or its key is not the "k1" of DB_ENCRYPTION_KEYS'):
        Keyring({"k1": NEW}).decrypt(RING.encrypt(b"x", HERE), HERE)


def test_an_unknown_key_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownKeyError, match='needs encryption key "k1": add it to DB_ENCRYPTION_KEYS, which has k2'):
        Keyring({"k2": NEW, "k3": OLD}).decrypt(RING.encrypt(b"x", HERE), HERE)


def test_rotation_moves_a_value_to_the_current_key_and_leaves_it_there() -> None:
    both = Keyring({"k2": NEW, "k1": OLD})
    rotated = both.rotate(RING.encrypt(b"x", HERE), HERE)

    assert key_id(rotated) == both.current == "k2"
    assert both.rotate(rotated, HERE) == rotated
    assert Keyring({"k2": NEW}).decrypt(rotated, HERE) == b"x"


def test_rotation_checks_the_place() -> None:
    with pytest.raises(DecryptionError):
        RING.rotate(RING.encrypt(b"x", HERE), THERE)


@pytest.mark.parametrize("parts", [("a|b", "c", "d", "e"), ("a", "", "d", "e"), ("a", "c", "d", "|")])
def test_a_place_whose_parts_could_be_read_in_two_ways_is_refused(parts: tuple[str, str, str, str]) -> None:
    with pytest.raises(EncryptionError, match=r"must be neither empty nor hold \|"):
        place(*parts)


@pytest.mark.parametrize(("tenant", "row", "name"), [(None, "1", "tenant"), ("1", None, "row")])
def test_a_row_that_has_no_id_yet_is_no_place(tenant: str, row: str, name: str) -> None:
    with pytest.raises(EncryptionError, match=f"the {name} of an encrypted value is None: flush a new object first"):
        place("recipes", "secret", tenant, row)


@pytest.mark.parametrize("value", [None, "secret", 5])
def test_what_is_not_bytes_is_refused_without_showing_it(value: bytes) -> None:
    kind = type(value).__name__
    with pytest.raises(DecryptionError, match=f"no token of this library but a {kind}$"):
        RING.decrypt(value, HERE)
    with pytest.raises(EncryptionError, match=f"^a {kind} cannot be encrypted: give bytes"):
        RING.encrypt(value, HERE)


def test_the_ring_comes_from_the_environment_first_key_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_ENCRYPTION_KEYS", f" k2:{encoded(NEW)} , k1:{encoded(OLD)},")

    ring = Keyring.load()

    assert ring.current == "k2"
    assert ring.decrypt(RING.encrypt(b"x", HERE), HERE) == b"x"
    assert repr(ring) == "Keyring(current='k2', ids=['k2', 'k1'])"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no encryption key: DB_ENCRYPTION_KEYS is"),
        (encoded(OLD), "entry 1 of DB_ENCRYPTION_KEYS has no id"),
        (f"k1:{encoded(OLD)},k1:{encoded(NEW)}", 'gives the id "k1" twice'),
        (f"k1:{encoded(OLD)},k2:{encoded(NEW)[:-2]}!", "the key of entry 2 of DB_ENCRYPTION_KEYS is not base64"),
        (f"k1:{encoded(OLD[:16])}", 'encryption key "k1" has 16 bytes: it must have 32'),
        (f"{'k' * 65}:{encoded(OLD)}", "id must be 1 to 64 letters"),
    ],
)
def test_a_malformed_ring_is_one_line_without_a_key(text: str, words: str) -> None:
    with pytest.raises(KeyringError) as failure:
        Keyring.load({"DB_ENCRYPTION_KEYS": text})

    assert words in str(failure.value)
    assert "\n" not in str(failure.value)
    for key in (OLD, NEW):
        assert encoded(key)[:10] not in str(failure.value)
