"""Diagnose errors that PostgreSQL or a pooler sent, by SQLSTATE (PostgreSQL, appendix A)."""

from typing import Final

from mscr.connections.diagnosis.types import Diagnosis, Rule, Service, apply_rules

_HBA: Final = "allow this host, user and database in the server's pg_hba.conf"
_SCHEMA: Final = (
    "let the database's owner run: GRANT USAGE, CREATE ON SCHEMA public TO this role (since "
    "PostgreSQL 15 others may not create there)"
)
_RULES: Final[tuple[Rule, ...]] = (
    ("28P01", "", None, "correct user and password in {setting}"),
    ("28000", "[local]", None, _HBA),
    ("28000", "no encryption", None, f"{{tls}}; or {_HBA}"),
    ("28000", "pg_hba", None, _HBA),
    ("28000", "does not exist", None, "create the role, or correct the user in {setting}"),
    ("28000", "log in", None, "ALTER ROLE ... LOGIN, or correct the user in {setting}"),
    ("28", "", None, "check the user in {setting}, and its authentication method"),
    ("3D000", "", None, "create the database, or correct its name in {setting}"),
    ("53300", "for role", None, "reduce the pools of its clients, or raise the role's limit"),
    ("53300", "for database", None, "reduce the pools of its clients, or raise its limit"),
    ("53300", "", None, "reduce the pools of its clients, or raise max_connections"),
    ("57P03", "", None, "wait until it has started; if it does not, see its log"),
    ("57P01", "", "the server was stopped, or ended this connection", "try again"),
    ("57P", "", None, "see the server's log, and try again"),
    ("42501", "schema", None, _SCHEMA),
    ("42501", "must be owner", None, "connect as the role that owns it, as {setting} says"),
    ("42501", "", None, "GRANT it to the role of {setting}, or use the role that owns it"),
    (
        "3F000",
        "",
        None,
        "create the schema that search_path names, and GRANT this role USAGE on it",
    ),
    (
        "25006",
        "",
        "the server is read-only: a standby, or configured so",
        "point {setting} at the primary",
    ),
    ("42P01", "", None, "{migrate}"),
    ("42703", "", None, "{migrate}"),
    ("53100", "", "the server's disk is full", "free some space there"),
    ("53", "", None, "give the server more of that resource"),
    ("57014", "statement timeout", None, "find out what it waited for, or raise the timeout"),
    ("57014", "", None, "it was cancelled: try again"),
    (
        "55P03",
        "",
        "another transaction holds a lock that this one waited for",
        "find its holder in pg_stat_activity, and try again",
    ),
    ("55000", "accepting connections", None, "ALTER DATABASE ... ALLOW_CONNECTIONS true"),
    ("40", "", None, "try again"),
    ("25P", "", None, "try again"),
    ("08P01", "startup parameter", None, "a pooler is in front: declare it in the settings"),
    ("08P01", "no such database", None, "correct the database in {setting}, or in the pooler"),
    ("08P01", "authentication failed", None, "correct user and password in {setting}"),
    ("08P01", "no such user", None, "correct the user in {setting}, or in the pooler"),
    ("08P01", "does not exist", None, "correct what the pooler's own settings name"),
    ("08P01", "config error", None, "see the pooler's log: a user or database is set up wrongly"),
    ("08P01", "max_client_conn", None, "reduce the pools of its clients, or raise max_client_conn"),
    ("08P01", "login_retry", None, "see the pooler's log: it cannot log in to its server"),
    ("08P01", "query_wait_timeout", None, "find out what holds the pooler's connections"),
    ("08P01", "", None, "check which server is at the address in {setting}"),
    ("08", "", "the connection was lost", "check that {name} runs, and try again"),
    ("58", "", None, "see the server's log: its disk is failing"),
    ("XX00", "", None, "see the server's log: its data may be damaged"),
)


def diagnose_postgresql(error: BaseException, service: Service) -> Diagnosis | None:
    code = getattr(error, "sqlstate", None)
    if not isinstance(code, str):
        return None
    return apply_rules(_RULES, code, _words(error), service)


def _words(error: BaseException) -> str:
    # SQLAlchemy's adapter prefixes the message with the driver's class.
    words = str(error)
    return words.partition(">: ")[2] if words.startswith("<class ") else words
