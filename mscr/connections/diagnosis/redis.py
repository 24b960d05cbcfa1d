"""Diagnose errors that Redis or Valkey sent, by their first word, which is a code."""

from typing import Final

from mscr.connections.diagnosis.types import Diagnosis, Rule, Service, apply_rules

_PASSWORD: Final = "correct user and password in {setting}"  # noqa: S105  # a sentence
_RULES: Final[tuple[Rule, ...]] = (
    ("", "without any password", "the server has no password", "remove it from {setting}"),
    ("", "wrongpass", "user or password is wrong", _PASSWORD),
    ("", "invalid username-password", "user or password is wrong", _PASSWORD),
    ("", "invalid password", "the password is wrong", _PASSWORD),
    ("", "authentication required", "the server requires a password", "add it to {setting}"),
    ("", "hello must be called", "the server requires a password", "add it to {setting}"),
    ("", "noauth", "the server requires a password", "add it to {setting}"),
    ("NoPermission", "", None, "allow this user the command and the key (ACL SETUSER)"),
    ("", "noperm", None, "allow this user the command and the key (ACL SETUSER)"),
    (
        "ReadOnly",
        "",
        "the server is a replica, and read-only",
        "point {setting} at the primary",
    ),
    (
        "",
        "readonly you can't write",
        "the server is a replica, and read-only",
        "point {setting} at the primary",
    ),
    (
        "",
        "oom command not allowed",
        "the server's memory is full (maxmemory)",
        "raise maxmemory, or free some of it",
    ),
    (
        "OutOfMemory",
        "",
        "the server's memory is full (maxmemory)",
        "raise maxmemory, or free some of it",
    ),
    (
        "",
        "misconf",
        "the server refuses writes: it cannot save its data to disk",
        "see its log, and free some space there",
    ),
    (
        "",
        "db index",
        "the server has no database with this number",
        "correct the number at the end of {setting}",
    ),
    ("BusyLoading", "", "the server is loading its data", "wait until it has started"),
    ("", "loading", "the server is loading its data", "wait until it has started"),
    ("MaxClients", "", "the server has too many clients", "raise its maxclients"),
    ("", "max number of clients", "the server has too many clients", "raise its maxclients"),
    ("MasterDown", "", None, "point {setting} at the primary"),
    ("", "noreplicas", None, "see the server's replicas"),
    ("", "protected mode", "the server accepts only clients on its own machine", "set a password"),
    ("ClusterDown", "", "the server's cluster is down", "see its log"),
    ("Moved", "", "the server is part of a cluster", "name a single server in {setting}"),
    ("", "moved ", "the server is part of a cluster", "name a single server in {setting}"),
    ("InvalidResponse", "", "the server there is not Redis", "correct the port in {setting}"),
    ("", "unknown command", None, "use Redis 6, Valkey 7 or newer"),
)


def diagnose_redis(error: BaseException, service: Service) -> Diagnosis | None:
    if type(error).__module__.partition(".")[0] != "redis":
        return None
    found = apply_rules(_RULES, type(error).__name__, str(error), service)
    if found is None and "closed by server" in str(error):
        cause = "the server closed the connection before it sent anything"
        remedy = f"check the port in {service.setting}; {service.tls}"
        return Diagnosis(cause, remedy)
    return found
