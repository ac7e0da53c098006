"""Secrets: encrypted before they leave the process, bound to their row, decrypted by a release that has the key.

A secret that was copied into another row, table or organization cannot be decrypted there (db.encryption).
"""

from __future__ import annotations

import uuid

from sqlalchemy import func, select
from sqlalchemy.orm import Session, undefer

from db.apps.bots.documents import CredentialDetails
from db.apps.bots.enums import CredentialType
from db.apps.bots.models import Credential
from db.encryption import Keyring, place
from db.errors import DecryptionError, EncryptionError, UnknownKeyError
from db.tenancy import require


def add_credential(
    session: Session,
    keyring: Keyring,
    *,
    name: str,
    type: CredentialType,  # noqa: A002  # the column's name
    secret: str,
    bot_id: uuid.UUID | None = None,
    details: CredentialDetails | None = None,
) -> Credential:
    """A new credential of the session's organization, written at once.

    Raises IntegrityError for a name in use, EncryptionError for a secret with half of a surrogate pair.
    """
    organization_id, row = require(session).organization_id, uuid.uuid4()
    credential = Credential(
        id=row,
        organization_id=organization_id,
        bot_id=bot_id,
        name=name,
        type=type,
        details=details or CredentialDetails(),
        secret=keyring.encrypt(_bytes(secret), _place(organization_id, row)),
    )
    with session.begin_nested():
        session.add(credential)
    return credential


def read_secret(session: Session, keyring: Keyring, name: str) -> str | None:
    """The secret called `name`, None where there is no live one; notes the use.

    Raises UnknownKeyError and DecryptionError.
    """
    found = session.scalar(select(Credential).where(Credential.name == name).options(undefer(Credential.secret)))
    if found is None:
        return None
    secret = keyring.decrypt(found.secret, _place(found.organization_id, found.id)).decode()
    found.last_used_at = func.now()
    session.flush()
    return secret


def replace_secret(session: Session, keyring: Keyring, credential: Credential, secret: str) -> None:
    """Another secret in the same place. Raises EncryptionError as `add_credential`."""
    credential.secret = keyring.encrypt(_bytes(secret), _place(credential.organization_id, credential.id))
    session.flush()


def rotate_secrets(session: Session, keyring: Keyring, *, most: int = 1000) -> int:
    """Encrypt the organization's secrets anew, deleted ones too, that another than the current key has; how many.

    Call it until it returns 0: it does at most `most` at a time, so that no transaction is long. It waits for whoever
    is replacing one of them, whose new secret it would otherwise undo. A secret that cannot be decrypted stays as it is
    and keeps no other from being rotated: where only such ones are left, it raises DecryptionError with their ids.
    """
    rows = session.scalars(
        select(Credential)
        .options(undefer(Credential.secret))
        .order_by(Credential.updated_at, Credential.id)
        .with_for_update()
        .execution_options(include_deleted=True, yield_per=100)
    )
    rotated = 0
    lost: list[str] = []
    for credential in rows:
        try:
            token = keyring.rotate(credential.secret, _place(credential.organization_id, credential.id))
        except (DecryptionError, UnknownKeyError):
            lost.append(str(credential.id))
            continue
        if token != credential.secret:
            credential.secret = token
            rotated += 1
        if rotated == most:
            break
    session.flush()
    if lost and not rotated:
        raise DecryptionError(
            f"{len(lost)} secrets cannot be decrypted and keep their key, those of the credentials: {', '.join(lost)}"
        )
    return rotated


def _bytes(secret: str) -> bytes:
    try:
        return secret.encode()
    except UnicodeEncodeError:  # which would carry the secret along
        raise EncryptionError("the secret holds half of a surrogate pair: it has to be text") from None


def _place(organization_id: uuid.UUID, row: uuid.UUID) -> str:
    return place("credentials", "secret", organization_id, row)
