"""What PostgreSQL, or a pooler in its name, says of itself: by SQLSTATE (appendix A)."""

from typing import Final

from app.core.diagnosis.types import Diagnosis, Rule, Service, apply_rules

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
    ("28", "", None, "check the user in {setting}, and how it is to prove itself"),
    ("3D000", "", None, "create the database, or correct its name in {setting}"),
    ("53300", "for role", None, "lower the pools of its clients, or raise the role's limit"),
    ("53300", "for database", None, "lower the pools of its clients, or raise its limit"),
    ("53300", "", None, "lower the pools of its clients, or raise max_connections"),
    ("57P03", "", None, "wait until it is up; if it stays so, see its log"),
    ("57P01", "", "the server was stopped, or ended this connection", "try again"),
    ("57P", "", None, "see the server's log, and try again"),
    ("42501", "schema", None, _SCHEMA),
    ("42501", "must be owner", None, "connect as the role that owns it, as {setting} says"),
    ("42501", "", None, "GRANT it to the role of {setting}, or use the role that owns it"),
    ("3F000", "", None, "create the schema that search_path names, and GRANT this role its use"),
    (
        "25006",
        "",
        "the server is read-only: a standby, or set so",
        "have {setting} lead to the primary",
    ),
    ("42P01", "", None, "{migrate}"),
    ("42703", "", None, "{migrate}"),
    ("53100", "", "the server's disk is full", "free some space there"),
    ("53", "", None, "give the server more of it"),
    ("57014", "statement timeout", None, "see what it waited for; or allow it more time"),
    ("57014", "", None, "somebody cancelled it: try again"),
    (
        "55P03",
        "",
        "another transaction holds a lock that this one waited for",
        "see who does in pg_stat_activity, and try again",
    ),
    ("55000", "accepting connections", None, "ALTER DATABASE ... ALLOW_CONNECTIONS true"),
    ("40", "", None, "try again"),
    ("25P", "", None, "try again"),
    ("08P01", "startup parameter", None, "a pooler stands there: declare it in the settings"),
    ("08P01", "no such database", None, "correct the database in {setting}, or in the pooler"),
    ("08P01", "authentication failed", None, "correct user and password in {setting}"),
    ("08P01", "no such user", None, "correct the user in {setting}, or in the pooler"),
    ("08P01", "does not exist", None, "correct what the pooler's own settings name"),
    ("08P01", "config error", None, "see the pooler's log: a user or database is set up wrongly"),
    ("08P01", "max_client_conn", None, "lower the pools of its clients, or raise max_client_conn"),
    ("08P01", "login_retry", None, "see the pooler's log: it cannot log in to its server"),
    ("08P01", "query_wait_timeout", None, "see what holds the pooler's connections"),
    ("08P01", "", None, "check what answers at the address in {setting}"),
    ("08", "", "the connection was lost", "check that {name} runs, and try again"),
    ("58", "", None, "see the server's log: its disk fails"),
    ("XX00", "", None, "see the server's log: its data may be damaged"),
)


def diagnose_postgresql(error: BaseException, service: Service) -> Diagnosis | None:
    code = getattr(error, "sqlstate", None)
    if not isinstance(code, str):
        return None
    return apply_rules(_RULES, code, _words(error), service)


def _words(error: BaseException) -> str:
    # SQLAlchemy's adapter writes the driver's class before them.
    words = str(error)
    return words.partition(">: ")[2] if words.startswith("<class ") else words
