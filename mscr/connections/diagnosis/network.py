"""Diagnose DNS, TCP and TLS: failures before the server sends a response."""

import errno
import re
import socket
import ssl
from typing import Final

from mscr.connections.diagnosis.types import Diagnosis, Service, first_line

# OpenSSL's X509_V_ERR_*.
_CERTIFICATES: Final[dict[int, tuple[str, str]]] = {
    9: ("the server's certificate is not valid yet", "check the clocks of both machines"),
    10: ("the server's certificate has expired", "renew it on the server"),
    18: (
        "the server's certificate is self-signed",
        "{authority} (here, the certificate itself)",
    ),
    19: ("the server's certificate is from an authority that is not trusted", "{authority}"),
    20: ("the server's certificate is from an authority that is not trusted", "{authority}"),
    21: ("the server's certificate is from an authority that is not trusted", "{authority}"),
    62: (
        "the server's certificate is for another host name",
        "use the certificate's host name in {setting}",
    ),
    64: (
        "the server's certificate is not for this IP address",
        "use the certificate's host name in {setting}",
    ),
}
# Substrings of OpenSSL's reasons.
_HANDSHAKES: Final = (
    ("KEY_VALUES_MISMATCH", "the client's key does not belong to its certificate", "{pair}"),
    ("PEM", "a TLS file that {setting} names is not in PEM", "{pair}"),
    ("NO_START_LINE", "a TLS file that {setting} names is not in PEM", "{pair}"),
    ("NO_CERTIFICATE", "a TLS file that {setting} names has no certificate", "{pair}"),
    ("CERTIFICATE_REQUIRED", "the server requires a client certificate", "{pair}"),
    ("ALERT_UNKNOWN_CA", "the server does not trust the client certificate", "{pair}"),
    ("ALERT_BAD_CERTIFICATE", "the server refuses the client certificate", "{pair}"),
    ("ALERT_CERTIFICATE", "the server refuses the client certificate", "{pair}"),
    ("ALERT_PROTOCOL_VERSION", "the server supports other versions of TLS only", "{tls}"),
    ("UNSUPPORTED_PROTOCOL", "the server supports other versions of TLS only", "{tls}"),
    ("ALERT_HANDSHAKE_FAILURE", "the server refuses the TLS handshake", "see its log"),
)
_PAIR: Final = "correct the certificate and key files in {setting}"
# Resolver codes for an unreachable name server. The others concern the host name.
_RESOLVER_IS_AWAY: Final = {socket.EAI_AGAIN}
_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")
_BY_ERRNO: Final[dict[int, tuple[str, str]]] = {
    errno.ECONNREFUSED: (
        "the connection was refused: no program listens there",
        "start {name}, or correct host and port in {setting}",
    ),
    errno.ENOENT: (
        "a socket or file that {setting} names does not exist",
        "start {name}, or correct the path",
    ),
    errno.ENOTDIR: ("a path in {setting} leads through a file", "correct the path"),
    errno.EACCES: (
        "this user may not use a socket or file that {setting} names",
        "give this user the right to read it",
    ),
    errno.EPERM: (
        "this user may not use a socket or file that {setting} names",
        "give this user the right to read it",
    ),
    errno.EHOSTUNREACH: ("there is no route to the host", "check the host in {setting}"),
    errno.ENETUNREACH: ("there is no route to the network", "check the host in {setting}"),
    errno.ETIMEDOUT: (
        "no response in time",
        "check host and port in {setting}, and firewalls on the way",
    ),
    errno.EMFILE: ("this process has too many open files", "raise its limit (ulimit -n)"),
    errno.ENFILE: ("this machine has too many open files", "raise its limit (fs.file-max)"),
    errno.ENOSPC: ("the disk of this machine is full", "free some space"),
}
_CLOSED: Final = (
    "the connection was closed by the other side",
    "check that {name} runs, and the port in {setting}; {tls}",
)


def diagnose_network(error: BaseException, service: Service) -> Diagnosis | None:
    found = _texts(error)
    return None if found is None else _filled(found, service)


def diagnose_end(error: BaseException, service: Service) -> Diagnosis | None:
    """Diagnose any other `OSError`. Called last: libraries wrap more specific errors in one."""
    if not isinstance(error, OSError | EOFError):
        return None
    if isinstance(error, ConnectionError | EOFError):
        return _filled(_CLOSED, service)
    words = first_line(error.strerror or str(error)) or "the connection failed"
    return Diagnosis(words, f"check host and port in {service.setting}")


def _filled(texts: tuple[str, str], service: Service) -> Diagnosis:
    fields = {
        "name": service.name,
        "setting": service.setting,
        "authority": service.authority,
        "tls": service.tls,
        "pair": _PAIR.format(setting=service.setting),
    }
    cause, remedy = texts
    return Diagnosis(cause.format(**fields), remedy.format(**fields))


def _texts(error: BaseException) -> tuple[str, str] | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        unknown = ("the server's certificate is not accepted", "{authority}")
        return _CERTIFICATES.get(getattr(error, "verify_code", 0), unknown)
    if isinstance(error, ssl.SSLError):
        return _handshake(error.reason or str(error))
    if isinstance(error, socket.gaierror):
        if error.errno in _RESOLVER_IS_AWAY:
            return (
                "the host name could not be resolved: no name server replied",
                "check the DNS of this machine, and the host in {setting}",
            )
        return "the host name is unknown", "correct the host in {setting}"
    return _system(error) if isinstance(error, OSError) else None


def _handshake(reason: str) -> tuple[str, str]:
    for part, cause, remedy in _HANDSHAKES:
        if part in reason.upper().replace(" ", "_"):
            return cause, remedy
    return "the server there does not speak TLS", "correct the port in {setting}, or {tls}"


def _system(error: OSError) -> tuple[str, str] | None:
    numbers = [error.errno, *map(int, _ERRNO.findall(str(error)))]
    for number in numbers:
        if number in _BY_ERRNO:
            return _BY_ERRNO[number]
    if isinstance(error, TimeoutError):
        return _BY_ERRNO[errno.ETIMEDOUT]
    if "rejected SSL upgrade" in str(error):
        return "the server does not offer TLS", "{tls}"
    return None
