"""The form in which an email address is one identity: what accounts are looked up by."""

import unicodedata
from string import ascii_lowercase, ascii_uppercase
from typing import Final

import idna

# No address begins so: a key of this kind never equals a canonical one.
AS_TYPED: Final = ":"
_TO_ASCII_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)


def email_key(email: str) -> str:
    """Return the canonical key of an address; mail goes to the same domain.

    Only the case of ASCII letters is folded in the local part. A mail server may treat more
    spellings as one mailbox, but folding more here could give one person another's account.
    """
    local, at, domain = email.strip().rpartition("@")
    local = unicodedata.normalize("NFC", local).translate(_TO_ASCII_LOWER)
    return f"{local}{at}{canonical_domain(domain)}"


def as_typed_key(email: str) -> str:
    """Return the key of an account whose canonical key belongs to an older one.

    Only a migration gives it, to accounts that an earlier form of the key held apart.
    """
    return AS_TYPED + email.strip()


def canonical_domain(domain: str) -> str:
    """Return the A-labels of a domain, by UTS 46 without transitional processing.

    IDNA 2003, as Python's own codec has it, would make strasse.de of straße.de, which is another
    domain. A text that is no domain name is only lower-cased.
    """
    lowered = domain.translate(_TO_ASCII_LOWER)
    if lowered.isascii() and "xn--" not in lowered:
        return lowered
    try:
        return idna.encode(domain, uts46=True, transitional=False).decode()
    except UnicodeError:
        return lowered
