"""TLS to PostgreSQL: build the SSL context that libpq's options describe."""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mscr.connections.urls.parts import AddressError

# libpq's values of sslmode, weakest first. `allow` and `prefer` may fall back to no TLS.
MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
VERIFIED: Final = ("verify-ca", "verify-full")
SECURE: Final = ("require", *VERIFIED)
SYSTEM: Final = "system"
# Default files of libpq, in ~/.postgresql.
_IN_HOME: Final = {
    "sslrootcert": "root.crt",
    "sslcrl": "root.crl",
    "sslcert": "postgresql.crt",
    "sslkey": "postgresql.key",
}
_VERSIONS: Final = {
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


def tls_context(mode: str, options: Mapping[str, str]) -> ssl.SSLContext:
    """Build the context for `require`, `verify-ca` or `verify-full`. Raises `AddressError`.

    Files that `options` lacks come from libpq's variables (PGSSLROOTCERT) or from ~/.postgresql.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = mode == "verify-full"
    if not _trust(context, mode, options):
        context.verify_mode = ssl.CERT_NONE
    _present_certificate(context, options)
    context.minimum_version = _version("ssl_min_protocol_version", options, ssl.TLSVersion.TLSv1_2)
    context.maximum_version = _version(
        "ssl_max_protocol_version", options, ssl.TLSVersion.MAXIMUM_SUPPORTED
    )
    # PostgreSQL 17 and newer require ALPN with sslnegotiation=direct.
    context.set_alpn_protocols(["postgresql"])
    return context


def _trust(context: ssl.SSLContext, mode: str, options: Mapping[str, str]) -> bool:
    """Load the authorities. Return False if there are none, which only `require` allows."""
    root = _file("sslrootcert", options)
    if root is None:
        if mode in VERIFIED:
            raise AddressError(
                f"sslmode={mode} needs sslrootcert: the file of the provider's CA, or "
                "sslrootcert=system for publicly trusted ones"
            )
        return False
    if root == SYSTEM:
        if mode != "verify-full":
            raise AddressError("sslrootcert=system needs sslmode=verify-full")
        context.load_default_certs()
        return True
    trust_authorities(context, "sslrootcert", root)
    if crl := _file("sslcrl", options):
        trust_authorities(context, "sslcrl", crl)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    return True


def _present_certificate(context: ssl.SSLContext, options: Mapping[str, str]) -> None:
    certificate = _file("sslcert", options)
    if certificate is None:
        if "sslkey" in options:
            raise AddressError("sslkey needs sslcert, the certificate that belongs to it")
        return
    key = _file("sslkey", options)
    present_certificate(
        context,
        ("sslcert", "sslkey", "sslpassword"),
        (certificate, key, options.get("sslpassword", "")),
    )


def trust_authorities(context: ssl.SSLContext, name: str, file: str) -> None:
    """Load the certificates or the revocation list of a file. Raises `AddressError`.

    `name` is the option that has the file as its value.
    """
    _check_readable(name, file)
    try:
        context.load_verify_locations(cafile=file)
    except (ssl.SSLError, ValueError):
        raise AddressError(f"{name}: {file} has no such object in PEM") from None


def present_certificate(
    context: ssl.SSLContext, names: tuple[str, str, str], values: tuple[str, str | None, str]
) -> None:
    """Load the client certificate, its key and the key's password. Raises `AddressError`.

    `names` are the options that have these values. Without a key file, the key is in the file of
    the certificate.
    """
    certificate, key, password = values
    _check_readable(names[0], certificate)
    if key:
        _check_readable(names[1], key)
    try:
        # Without this function, OpenSSL would prompt for the password on the terminal.
        context.load_cert_chain(certificate, key, lambda: password)
    except (ssl.SSLError, ValueError) as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            raise AddressError(f"{names[1]} does not belong to {names[0]}") from None
        reason = f"both must be PEM, and {names[2]} must open an encrypted key"
        raise AddressError(f"{names[0]} and {names[1]} cannot be used; {reason}") from None


def _check_readable(name: str, file: str) -> None:
    try:
        with Path(file).open("rb"):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        raise AddressError(f"{name}: cannot read {file}: {reason}") from None


def _file(name: str, options: Mapping[str, str]) -> str | None:
    if given := options.get(name) or os.environ.get(f"PG{name.upper()}"):
        return given
    try:
        default = Path.home() / ".postgresql" / _IN_HOME[name]
    except RuntimeError:  # no home directory
        return None
    return str(default) if default.is_file() else None


def _version(name: str, options: Mapping[str, str], default: ssl.TLSVersion) -> ssl.TLSVersion:
    if not options.get(name):
        return default
    try:
        return _VERSIONS[options[name]]
    except KeyError:
        raise AddressError(f"{name} must be {' or '.join(_VERSIONS)}") from None
