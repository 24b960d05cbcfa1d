"""Encrypted fields: keys rotate, and a ciphertext can be decrypted only in its own place."""

import base64
import secrets

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import SecretStr

from examples.catalogue.core.config import Settings
from mscr.collaborators import Collaborators
from mscr.core.security.encryption import DecryptionError, EncryptionService
from mscr.testing.databases import on_sqlite

OLD_KEY = secrets.token_bytes(32)
NEW_KEY = secrets.token_bytes(32)
PLACE = "users:0190:totp_seed"
ANOTHER_PLACE = "users:0191:totp_seed"
SEED = "JBSWY3DPEHPK3PXP"

before = EncryptionService([OLD_KEY])
during = EncryptionService([NEW_KEY, OLD_KEY])
after = EncryptionService([NEW_KEY])


@examples(max_examples=40)
@given(value=st.text(st.characters(codec="utf-8")), context=st.text(st.characters(codec="utf-8")))
def test_a_ciphertext_is_decrypted_in_its_place(value: str, context: str) -> None:
    """DR1."""
    assert after.decrypt(after.encrypt(value, context=context), context=context) == value


def test_each_encryption_of_a_value_gives_a_different_ciphertext() -> None:
    ciphertexts = {after.encrypt(SEED, context=PLACE) for _ in range(10)}

    assert len(ciphertexts) == 10


def test_a_ciphertext_reveals_neither_the_value_nor_its_place() -> None:
    raw = base64.urlsafe_b64decode(after.encrypt(SEED, context=PLACE))

    assert SEED.encode() not in raw
    assert PLACE.encode() not in raw


def test_a_ciphertext_of_the_old_key_is_readable_during_rotation() -> None:
    """DR1."""
    assert during.decrypt(before.encrypt(SEED, context=PLACE), context=PLACE) == SEED


def test_a_value_encrypted_during_rotation_needs_only_the_new_key() -> None:
    """DR1."""
    assert after.decrypt(during.encrypt(SEED, context=PLACE), context=PLACE) == SEED


def test_a_rotated_ciphertext_needs_only_the_new_key() -> None:
    """DR1: the old key can be discarded afterwards."""
    rotated = during.rotate(before.encrypt(SEED, context=PLACE))

    assert after.decrypt(rotated, context=PLACE) == SEED


def test_rotation_keeps_the_place() -> None:
    """DR1."""
    rotated = during.rotate(before.encrypt(SEED, context=PLACE))

    with pytest.raises(DecryptionError, match="another row"):
        after.decrypt(rotated, context=ANOTHER_PLACE)


def test_without_its_key_a_ciphertext_is_neither_readable_nor_rotatable() -> None:
    """DR1."""
    ciphertext = before.encrypt(SEED, context=PLACE)

    with pytest.raises(DecryptionError, match="unknown key"):
        after.decrypt(ciphertext, context=PLACE)
    with pytest.raises(DecryptionError, match="unknown key"):
        after.rotate(ciphertext)


@pytest.mark.parametrize("elsewhere", [ANOTHER_PLACE, "users:0190:api_key", "", PLACE + " "])
def test_a_ciphertext_that_was_moved_is_refused(elsewhere: str) -> None:
    """DR1: the attack is to swap the ciphertexts of two rows."""
    ciphertext = after.encrypt(SEED, context=PLACE)

    with pytest.raises(DecryptionError, match="another row"):
        after.decrypt(ciphertext, context=elsewhere)


@pytest.mark.parametrize("position", [0, 12, 40, -1])
def test_a_changed_byte_is_detected(position: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(after.encrypt(SEED, context=PLACE)))
    raw[position] ^= 1

    with pytest.raises(DecryptionError, match="damaged"):
        after.decrypt(base64.urlsafe_b64encode(raw).decode(), context=PLACE)


@pytest.mark.parametrize("garbage", ["", "gAAAA", "not base64 at all!", "\ud800", "\0", "ä" * 100])
def test_garbage_is_refused_as_damaged(garbage: str) -> None:
    with pytest.raises(DecryptionError, match="damaged"):
        after.decrypt(garbage, context=PLACE)
    with pytest.raises(DecryptionError, match="damaged"):
        after.rotate(garbage)


def test_a_truncated_ciphertext_is_refused() -> None:
    ciphertext = after.encrypt(SEED, context=PLACE)

    with pytest.raises(DecryptionError, match="damaged"):
        after.decrypt(ciphertext[:-8], context=PLACE)


def test_an_error_reveals_nothing_of_the_value() -> None:
    ciphertext = after.encrypt(SEED, context=PLACE)

    with pytest.raises(DecryptionError) as error:
        after.decrypt(ciphertext, context=ANOTHER_PLACE)

    assert SEED not in str(error.value)
    assert error.value.__cause__ is None


@on_sqlite
def test_previous_keys_of_the_settings_decrypt_their_ciphertexts(settings: Settings) -> None:
    """DR1: an operator rotates by moving SECRET_KEY to SECRET_KEY_PREVIOUS."""
    old = settings.SECRET_KEY
    rotated = settings.model_copy(
        update={"SECRET_KEY": SecretStr(secrets.token_urlsafe(48)), "SECRET_KEY_PREVIOUS": [old]}
    )
    ciphertext = Collaborators.from_settings(settings).encryption.encrypt(SEED, context=PLACE)

    service = Collaborators.from_settings(rotated).encryption

    assert service.decrypt(ciphertext, context=PLACE) == SEED
