"""Canonical keys of email addresses: accounts are looked up, and are unique, by them."""

import unicodedata
from string import ascii_lowercase, ascii_uppercase
from typing import Final

import idna

# No email address begins with it, so that such a key never equals a canonical key.
AS_TYPED: Final = ":"
_TO_ASCII_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)


def email_key(email: str) -> str:
    """Return the canonical key of an address. Its domain stays the one that mail is sent to.

    The local part is normalized (NFC), and only its ASCII letters are lower-cased. A mail server
    may treat more spellings as one mailbox, but folding more here could give one person access to
    another's account.
    """
    local, at, domain = email.strip().rpartition("@")
    local = unicodedata.normalize("NFC", local).translate(_TO_ASCII_LOWER)
    return f"{local}{at}{canonical_domain(domain)}"


def as_typed_key(email: str) -> str:
    """Return the key of an account whose canonical key belongs to an older account.

    Only a migration assigns such keys: to duplicates that an earlier form of the key distinguished.
    """
    return AS_TYPED + email.strip()


def canonical_domain(domain: str) -> str:
    """Return the A-labels of a domain, by UTS 46 without transitional processing.

    Python's own codec implements IDNA 2003, which maps straße.de to strasse.de, a different domain.
    A text that is no domain name is only lower-cased.
    """
    lowered = domain.translate(_TO_ASCII_LOWER)
    if lowered.isascii() and "xn--" not in lowered:
        return lowered
    try:
        return idna.encode(domain, uts46=True, transitional=False).decode()
    except UnicodeError:
        return lowered
