"""What Redis or Valkey answers: by the first word of its errors, which is their code."""

from typing import Final

from app.core.diagnosis.types import Diagnosis, Rule, Service, apply_rules

_PASSWORD: Final = "correct user and password in {setting}"  # noqa: S105  # a sentence
_RULES: Final[tuple[Rule, ...]] = (
    ("", "without any password", "the server has no password", "remove it from {setting}"),
    ("", "wrongpass", "user or password is wrong", _PASSWORD),
    ("", "invalid username-password", "user or password is wrong", _PASSWORD),
    ("", "invalid password", "the password is wrong", _PASSWORD),
    ("", "authentication required", "the server wants a password", "add it to {setting}"),
    ("", "hello must be called", "the server wants a password", "add it to {setting}"),
    ("", "noauth", "the server wants a password", "add it to {setting}"),
    ("NoPermission", "", None, "allow this user the command and the key (ACL SETUSER)"),
    ("", "noperm", None, "allow this user the command and the key (ACL SETUSER)"),
    (
        "ReadOnly",
        "",
        "the server is a replica, and read-only",
        "have {setting} lead to the primary",
    ),
    (
        "",
        "readonly you can't write",
        "the server is a replica, and read-only",
        "have {setting} lead to the primary",
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
        "the server has no database of this number",
        "correct the number at the end of {setting}",
    ),
    ("BusyLoading", "", "the server is loading its data", "wait until it is up"),
    ("", "loading", "the server is loading its data", "wait until it is up"),
    ("MaxClients", "", "the server has too many clients", "raise its maxclients"),
    ("", "max number of clients", "the server has too many clients", "raise its maxclients"),
    ("MasterDown", "", None, "have {setting} lead to the primary"),
    ("", "noreplicas", None, "see the server's replicas"),
    ("", "protected mode", "the server takes clients of its own machine only", "set a password"),
    ("ClusterDown", "", "the server's cluster is down", "see its log"),
    ("Moved", "", "the server is part of a cluster", "have {setting} name a single server"),
    ("", "moved ", "the server is part of a cluster", "have {setting} name a single server"),
    ("InvalidResponse", "", "what answers there is no Redis", "correct the port in {setting}"),
    ("", "unknown command", None, "use Redis 6, Valkey 7 or newer"),
)


def diagnose_redis(error: BaseException, service: Service) -> Diagnosis | None:
    if type(error).__module__.partition(".")[0] != "redis":
        return None
    found = apply_rules(_RULES, type(error).__name__, str(error), service)
    if found is None and "closed by server" in str(error):
        cause = "the server closed the connection before it said anything"
        remedy = f"check the port in {service.setting}; {service.tls}"
        return Diagnosis(cause, remedy)
    return found
