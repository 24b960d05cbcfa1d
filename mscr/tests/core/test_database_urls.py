"""Database URLs, as providers issue them and people write them, work or are refused in one line."""

import getpass
import inspect
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg
import pytest
from asyncpg.connect_utils import SSLMode, _parse_connect_arguments
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from mscr.connections.urls.database import connection_of, name_of, read_database_url, text_of
from mscr.connections.urls.parts import AddressError
from mscr.testing.authority import Authority
from mscr.testing.certificates import write_certificate

ROOT: Final = Path("/srv/app")
# Stands in place of a password. No message may contain a piece of it.
CANARY: Final = "canary"

# Where each URL leads: addresses, user, password and database. `h` is any host.
WORKING: Final[dict[str, tuple[list[Any], str | None, str | None, str]]] = {
    # Forms that providers show for copying.
    "postgres://u:canary@h/app": ([("h", 5432)], "u", "canary", "app"),
    "postgresql://u:canary@h:5433/app": ([("h", 5433)], "u", "canary", "app"),
    "postgresql+psycopg2://u:canary@h/app": ([("h", 5432)], "u", "canary", "app"),
    "postgresql+asyncpg://u:canary@h/app?ssl=require": ([("h", 5432)], "u", "canary", "app"),
    "POSTGRES://u:canary@h/app": ([("h", 5432)], "u", "canary", "app"),
    "  postgres://u:canary@h/app\r\n": ([("h", 5432)], "u", "canary", "app"),
    "postgresql://neondb_owner:canary@ep-cool-darkness-123456-pooler.eu-central-1.aws.neon.tech/"
    "neondb?sslmode=require&channel_binding=require": (
        [("ep-cool-darkness-123456-pooler.eu-central-1.aws.neon.tech", 5432)],
        "neondb_owner",
        "canary",
        "neondb",
    ),
    "postgres://u:canary@h.neon.tech/neondb?sslmode=require&options=endpoint%3Dep-cool-123": (
        [("h.neon.tech", 5432)],
        "u",
        "canary",
        "neondb",
    ),
    "postgresql://postgres.abcdefgh:canary@aws-0-eu-central-1.pooler.supabase.com:6543/postgres"
    "?pgbouncer=true": (
        [("aws-0-eu-central-1.pooler.supabase.com", 6543)],
        "postgres.abcdefgh",
        "canary",
        "postgres",
    ),
    "postgres://u:canary@db.abc.supabase.co:5432/postgres?sslmode=require&supa=base-pooler.x": (
        [("db.abc.supabase.co", 5432)],
        "u",
        "canary",
        "postgres",
    ),
    "postgres://u:canary@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d1": (
        [("ec2-1-2-3-4.compute-1.amazonaws.com", 5432)],
        "u",
        "canary",
        "d1",
    ),
    "postgresql://postgres:canary@postgres.railway.internal:5432/railway": (
        [("postgres.railway.internal", 5432)],
        "postgres",
        "canary",
        "railway",
    ),
    "postgresql://u:canary@dpg-abc-a.frankfurt-postgres.render.com/app_x1": (
        [("dpg-abc-a.frankfurt-postgres.render.com", 5432)],
        "u",
        "canary",
        "app_x1",
    ),
    "postgresql://doadmin:canary@db-do-user-1.b.db.ondigitalocean.com:25060/defaultdb"
    "?sslmode=require": (
        [("db-do-user-1.b.db.ondigitalocean.com", 25060)],
        "doadmin",
        "canary",
        "defaultdb",
    ),
    # In Azure's single server, user names ended with @ and the server's name.
    "postgres://app@server:canary@server.postgres.database.azure.com:5432/app?sslmode=require": (
        [("server.postgres.database.azure.com", 5432)],
        "app@server",
        "canary",
        "app",
    ),
    "postgresql://u:canary@/app?host=/cloudsql/project:region:instance": (
        ["/cloudsql/project:region:instance/.s.PGSQL.5432"],
        "u",
        "canary",
        "app",
    ),
    # Passwords.
    "postgres://u:canary%40%2F%3F%23%25@h/app": ([("h", 5432)], "u", "canary@/?#%", "app"),
    "postgres://u:c@nary#1@h/app": ([("h", 5432)], "u", "c@nary#1", "app"),
    "postgres://u:c:nary@h/app": ([("h", 5432)], "u", "c:nary", "app"),
    "postgres://u:canary%@h/app": ([("h", 5432)], "u", "canary%", "app"),
    "postgres://u:can ary@h/app": ([("h", 5432)], "u", "can ary", "app"),
    "postgres://u:can+ary@h/app": ([("h", 5432)], "u", "can+ary", "app"),
    "postgres://u:[canary]@h/app": ([("h", 5432)], "u", "[canary]", "app"),
    "postgres://u:k\u00e4nary@h/app": ([("h", 5432)], "u", "k\u00e4nary", "app"),
    "postgresql://h/app?user=u&password=canary": ([("h", 5432)], "u", "canary", "app"),
    "postgresql://h/app?user=u&password=can%26ary+": ([("h", 5432)], "u", "can&ary+", "app"),
    "postgresql://u@h/app": ([("h", 5432)], "u", None, "app"),
    "postgresql://:canary@h/app": ([("h", 5432)], getpass.getuser(), "canary", "app"),
    "postgresql://h/app?password=canary": ([("h", 5432)], getpass.getuser(), "canary", "app"),
    # Hosts and sockets.
    "postgres://u:canary@[::1]:5433/app": ([("::1", 5433)], "u", "canary", "app"),
    "postgres://u:canary@[2001:db8::1]/app": ([("2001:db8::1", 5432)], "u", "canary", "app"),
    "postgres://u:canary@h1:5432,h2:5433/app": ([("h1", 5432), ("h2", 5433)], "u", "canary", "app"),
    "postgres://u:canary@h1,h2/app?port=6432": ([("h1", 6432), ("h2", 6432)], "u", "canary", "app"),
    "postgres://u:canary@[::1]:1,h2/app": ([("::1", 1), ("h2", 5432)], "u", "canary", "app"),
    "postgres://u:canary@/app?host=h1,h2&port=1,2": ([("h1", 1), ("h2", 2)], "u", "canary", "app"),
    "postgres://u:canary@/app?host=h1:1&host=h2:2": ([("h1", 1), ("h2", 2)], "u", "canary", "app"),
    "postgres://u:canary@h:/app": ([("h", 5432)], "u", "canary", "app"),
    "postgresql:///app?host=/var/run/postgresql&user=u": (
        ["/var/run/postgresql/.s.PGSQL.5432"],
        "u",
        None,
        "app",
    ),
    "postgresql://u@%2Fvar%2Frun%2Fpostgresql/app": (
        ["/var/run/postgresql/.s.PGSQL.5432"],
        "u",
        None,
        "app",
    ),
    "postgresql://u@localhost/app?host=/run/pg&port=5433": (
        ["/run/pg/.s.PGSQL.5433"],
        "u",
        None,
        "app",
    ),
    "postgresql://u:canary@h?dbname=app": ([("h", 5432)], "u", "canary", "app"),
    "postgresql://u:canary@h/my%20app": ([("h", 5432)], "u", "canary", "my app"),
    # Ignored options.
    "postgres://u:canary@h/app?gssencmode=disable&keepalives=1&keepalives_idle=30&sslsni=1": (
        [("h", 5432)],
        "u",
        "canary",
        "app",
    ),
    "postgres://u:canary@h/app?client_encoding=utf8&fallback_application_name=x&": (
        [("h", 5432)],
        "u",
        "canary",
        "app",
    ),
    "postgres://u:canary@h/app?sslmode=disable&channel_binding=prefer": (
        [("h", 5432)],
        "u",
        "canary",
        "app",
    ),
}

# URLs that are refused, and a part of the message.
REFUSED: Final[dict[str, str]] = {
    "": "not a URL",
    "canary": "not a URL",
    "postgresql:/u:canary@h/app": "not a URL",
    "host=h user=u password=canary": "not a URL",
    "psql postgresql://u:canary@h/app": "not a URL",
    "'postgresql://u:canary@h/app'": "has quotes around it",
    '"postgresql://u:canary@h/app': "has quotes around it",
    "jdbc:postgresql://h/app?user=u&password=canary": "the database must be postgresql://",
    "mysql://u:canary@h/app": "the database must be postgresql://",
    "postgresql://u:canary": "the port is not a number; either the @",
    "postgresql://u:canary@h": "has no database",
    "postgresql://u:canary@h/": "has no database",
    "postgresql://u:canary@/app": "has no host",
    "postgresql://u:canary@:5432/app": "a host is missing",
    "postgresql://u:canary@h1,/app": "a host is missing",
    "postgresql://u:canary@/app?host=h1,": "host has an empty name",
    "postgresql://u:canary@h:0/app": "the port must be from 1 to 65535",
    "postgresql://u:canary@h:65536/app": "the port must be from 1 to 65535",
    "postgresql://u:canary@h:54x2/app": "the port is not a number",
    "postgresql://u:canary@h/app?port=no": "port needs a whole number",
    "postgresql://u:canary@/app?host=h1,h2&port=1,2,3": "port needs one number, or one for each",
    "postgresql://u:canary@::1/app": "an IPv6 address needs brackets",
    "postgresql://u:canary@[::1/app": "an IPv6 address needs the form",
    "postgresql://u:canary@[canary]/app": "an IPv6 address needs the form",
    "postgresql://u:canary@h h/app": "the host is not a host name",
    "postgresql://u:x@canary%2Fcanary/app": "the host is not a host name",
    "postgresql://u:x@canary=1&canary/app": "the host is not a host name",
    "postgresql://u:canary@h..example/app": "the host is not a host name",
    "postgresql://u:can/ary@h/app": "@ is %40, / is %2F",
    "postgresql://u:can?ary@h/app": "@ is %40, / is %2F",
    "postgresql://u:1?canary=1@h/app": "@ is %40, / is %2F",
    "postgresql://u:p@ss/canary#1@h/app": "@ is %40, / is %2F",
    "postgresql://u:can\nary@h/app": "a line break or another control character",
    "postgresql://u:can%00ary@h/app": "a line break or another control character",
    "postgresql://u:canary%FF@h/app": "not UTF-8",
    "postgresql://u:canary\udcff@h/app": "not UTF-8",
    "postgresql://u:x@h/app?canary": "options need the form ?name=value",
    "postgresql://u:x@h/app?=canary": "options need the form ?name=value",
    "postgresql://h/app?user=u&password=p&canary=1": "an unknown option follows password",
    "postgresql://u:canary@h/app?bogus=canary": "bogus: unknown option",
    "postgresql://u:canary@h/app?hostaddr=10.0.0.1": "hostaddr: the driver (asyncpg) cannot",
    "postgresql://u:canary@h/app?require_auth=scram-sha-256": "require_auth: the driver (asyncpg)",
    "postgresql://u:canary@h/app?gssencmode=require": "gssencmode: only disable or prefer",
    "postgresql://u:canary@h/app?client_encoding=latin1": "client_encoding: only auto",
    "postgresql://u:canary@h/app?sslmode=canary": "sslmode must be one of disable,",
    "postgresql://u:canary@h/app?sslmode=": "sslmode must be one of disable,",
    "postgresql://u:canary@h/app?sslmode=require&ssl=disable": "sslmode is given twice",
    "postgresql://u:canary@h/app?sslmode=disable&channel_binding=require": "channel_binding=re",
    "postgresql://u:canary@h/app?sslmode=verify-full": "sslmode=verify-full needs sslrootcert",
    "postgresql://u:canary@h/app?sslmode=verify-ca": "sslmode=verify-ca needs sslrootcert",
    "postgresql://u:canary@h/app?sslmode=require&sslrootcert=system": "needs sslmode=verify-full",
    "postgresql://u:canary@h/app?sslrootcert=/ca.pem": "sslrootcert is only used with sslmode=",
    "postgresql://u:canary@h/app?sslmode=verify-full&sslrootcert=/no/ca": "cannot read /no/ca",
    "postgresql://u:canary@h/app?sslmode=require&sslcert=/no/cert": "sslcert: cannot read /no/cert",
    "postgresql://u:canary@h/app?sslmode=require&sslkey=/no/key": "sslkey needs sslcert",
    "postgresql://u:canary@h/app?sslmode=require&sslnegotiation=canary": "sslnegotiation must be",
    "postgresql://u:canary@h/app?sslnegotiation=direct": "sslnegotiation=direct needs sslmode=",
    "postgresql://u:canary@h/app?sslmode=require&ssl_min_protocol_version=canary": "ssl_min_protoc",
    "postgresql://u:canary@h/app?connect_timeout=canary": "connect_timeout needs a whole number",
    "postgresql://u:canary@h/app?connect_timeout=-1": "connect_timeout needs a whole number",
    "postgresql://u:canary@h/app?statement_cache_size=no": "statement_cache_size needs a whole",
    "postgresql://u:canary@h/app?target_session_attrs=canary": "target_session_attrs must be one",
    "postgresql://u:canary@h/app?target_session_attrs=standby": "this one must accept writes",
    "postgresql://u:canary@h/app?options=canary": "options needs the form -c%20name=value",
    "postgresql://u:canary@h/app?options=-c%20client_encoding=latin1": "client_encoding must be",
    "postgresql://u:canary@h/app?options=-c%20lock_timeout=1": "lock_timeout does not belong in",
    "postgresql://u:canary@h/app?pool_size=5": "pool_size does not belong in the URL; set POOL",
    "sqlite://": "SQLite needs a file",
    "sqlite+aiosqlite:///:memory:": "SQLite needs a file",
    "sqlite:///file::memory:?uri=true": "SQLite needs a file",
    "sqlite://app.db": "SQLite has no host: three slashes",
    "sqlite:////": "SQLite needs a file, and / is a folder",
    f"sqlite:////{'x' * 300}": "cannot use /x",
    "sqlite:///app.db?mode=ro": "mode: only rwc",
    "sqlite:///app.db?cache=shared": "cache: only private",
    "sqlite:///app.db?immutable=1": "immutable: unknown option",
    "sqlite:///app.db?pool_size=5": "pool_size does not belong in the URL; set POOL",
}

GOVERNED: Final = {"lock_timeout": "set LOCK", "pool_size": "set POOL"}


class Parsed(NamedTuple):
    """The arguments as asyncpg parses them."""

    addresses: list[Any]
    parameters: Any
    given: dict[str, Any]


def read(url: str, *, read_only: bool = False) -> Parsed:
    """Create an engine for a URL and let asyncpg parse the arguments it would connect with."""
    stored = read_database_url(url, root=ROOT, writes=not read_only, governed=GOVERNED)
    # Settings store the URL as text.
    text = text_of(stored)
    assert make_url(text) == read_database_url(text, root=ROOT, writes=not read_only) == stored
    address, arguments = connection_of(stored, read_only=read_only)
    engine = create_async_engine(address, connect_args=arguments)
    _, from_url = engine.dialect.create_connect_args(engine.url)
    given = {**from_url, **arguments}
    dialects_own = ("prepared_statement_cache_size", "async_creator_fn")
    passed = {k: v for k, v in given.items() if k not in dialects_own}
    bound = inspect.signature(asyncpg.connect).bind(**passed)
    bound.apply_defaults()
    not_parsed = ("loop", "timeout", "connection_class", "record_class")
    known = {k: v for k, v in bound.arguments.items() if k not in not_parsed}
    addresses, parameters, _ = _parse_connect_arguments(**known)
    return Parsed(addresses, parameters, given)


@pytest.fixture(autouse=True)
def no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide certificates and passwords in the home directory of the user who runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize("url", WORKING)
def test_a_url_gives_its_addresses_user_password_and_database(url: str) -> None:
    parsed = read(url)

    parameters = parsed.parameters
    found = (parsed.addresses, parameters.user, parameters.password, parameters.database)
    assert found == WORKING[url]


@pytest.mark.parametrize("url", REFUSED)
def test_an_unusable_url_is_refused_in_one_line_with_the_remedy(url: str) -> None:
    with pytest.raises(AddressError) as refused:
        read_database_url(url, root=ROOT, governed=GOVERNED)

    line = str(refused.value)
    assert REFUSED[url] in line
    assert "\n" not in line
    assert CANARY not in line


@pytest.mark.parametrize("separator", "/?#@:&=%[],;' \"\\+{}")
def test_the_error_contains_no_piece_of_a_password(separator: str) -> None:
    """For every special character that a password may contain and that breaks a URL apart."""
    for url in (
        f"postgresql://u:canary{separator}canary@h/app",
        f"postgresql://u:canary{separator}canary={separator}canary@h:70000/app",
        f"postgresql://u:1{separator}canary=1&canary=2@h/app",
        f"postgresql://h/app?user=u&password=x{separator}canary=1",
    ):
        try:
            told = str(read_database_url(url, root=ROOT).set(password="-"))
        except AddressError as error:
            told = str(error)
        assert CANARY not in told, url


PIECES: Final = (
    *("u", ":", "p", "@", "h", "h2", ",", "/", "?", "#", "%", "%2F", "%40", "[::1]", "5432", "&"),
    *("\u00e4", " ", "..", "app", "host=", "port=", "dbname=x", "user=y", "password=z"),
    *("sslmode=require", "ssl=prefer", "options=-c%20a=b", "target_session_attrs=read-write"),
    *("timeout=3", "schema=s", "passfile=/x", "keepalives=1", "channel_binding=require"),
)


@given(
    st.sampled_from(("", "u:p@h/app?", "u@h1,h2/app?", "/app?host=/run&")),
    st.lists(st.sampled_from(PIECES), max_size=8),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_url_is_usable_or_refused(beginning: str, pieces: list[str]) -> None:
    with suppress(AddressError):
        read(f"postgresql://{beginning}{''.join(pieces)}")


def test_without_a_host_the_default_of_the_driver_applies() -> None:
    parsed = read("postgresql:///app")

    assert "/var/run/postgresql/.s.PGSQL.5432" in parsed.addresses
    assert parsed.parameters.user == getpass.getuser()


@pytest.mark.parametrize(
    ("mode", "expected", "verifies", "checks_host"),
    [
        ("disable", SSLMode.disable, None, None),
        ("allow", SSLMode.allow, ssl.CERT_NONE, False),
        ("prefer", SSLMode.prefer, ssl.CERT_NONE, False),
        ("require", SSLMode.require, ssl.CERT_NONE, False),
        ("no-verify", SSLMode.require, ssl.CERT_NONE, False),
        ("verify-ca&sslrootcert={ca}", SSLMode.require, ssl.CERT_REQUIRED, False),
        ("verify-full&sslrootcert={ca}", SSLMode.require, ssl.CERT_REQUIRED, True),
        ("verify-full&sslrootcert=system", SSLMode.require, ssl.CERT_REQUIRED, True),
        # With a certificate authority, `require` verifies the certificate, as in libpq.
        ("require&sslrootcert={ca}", SSLMode.require, ssl.CERT_REQUIRED, False),
        ("true", SSLMode.require, ssl.CERT_REQUIRED, True),
        ("prefer&channel_binding=require", SSLMode.require, ssl.CERT_NONE, False),
    ],
)
def test_a_tls_mode_verifies_as_in_libpq(
    tmp_path: Path, mode: str, expected: SSLMode, verifies: ssl.VerifyMode, checks_host: bool
) -> None:
    ca = write_certificate(tmp_path / "ca.pem", "h")

    parameters = read(f"postgresql://u@h/app?sslmode={mode.format(ca=ca)}").parameters

    # Given an SSL context, asyncpg reads the mode as `require`: the context does the rest.
    assert parameters.sslmode == expected
    if verifies is not None:
        assert (parameters.ssl.verify_mode, parameters.ssl.check_hostname) == (
            verifies,
            checks_host,
        )


def test_system_authorities_are_verified_without_a_mode() -> None:
    parameters = read("postgresql://u@h/app?sslrootcert=system").parameters

    assert (parameters.ssl.verify_mode, parameters.ssl.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_certificates_are_found_in_the_places_of_libpq(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".postgresql").mkdir()
    write_certificate(tmp_path / ".postgresql" / "root.crt", "h")

    in_home = read("postgresql://u@h/app?sslmode=require").parameters
    assert in_home.ssl.verify_mode == ssl.CERT_REQUIRED

    monkeypatch.setenv("PGSSLROOTCERT", "/no/such/file")
    with pytest.raises(AddressError, match="sslrootcert: cannot read /no/such/file"):
        read("postgresql://u@h/app?sslmode=verify-full")

    monkeypatch.delenv("PGSSLROOTCERT")
    monkeypatch.setattr(Path, "home", _no_home)
    homeless = read("postgresql://u@h/app?sslmode=require").parameters
    assert homeless.ssl.verify_mode == ssl.CERT_NONE


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_unusable_tls_files_are_named(tmp_path: Path) -> None:
    one = write_certificate(tmp_path / "one.pem", "h")
    other = write_certificate(tmp_path / "other.pem", "h")
    (tmp_path / "letter.pem").write_text("Dear aunt, ")
    letter = tmp_path / "letter.pem"
    url = "postgresql://u@h/app?sslmode=verify-full"

    for options, line in {
        f"&sslrootcert={letter}": f"sslrootcert: {letter} has no such object",
        f"&sslrootcert={one}&sslcrl={letter}": f"sslcrl: {letter} has no such object",
        f"&sslrootcert={one}&sslcert={letter}": "sslcert and sslkey cannot be used",
        f"&sslrootcert={one}&sslcert={one}&sslkey={letter}": "sslcert and sslkey cannot be used",
        f"&sslrootcert={one}&sslcert={one}&sslkey={other}": "sslkey does not belong to sslcert",
        f"&sslrootcert={tmp_path}": f"sslrootcert: cannot read {tmp_path}: Is a directory",
        "&sslrootcert=": "sslmode=verify-full needs sslrootcert",
    }.items():
        with pytest.raises(AddressError) as refused:
            read(url + options)
        assert str(refused.value).startswith(line), refused.value


def test_a_revocation_list_is_checked(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    certificate, _ = authority.issue("server", "h")
    files = f"sslrootcert={authority.certificate}&sslcrl={authority.revoke(certificate)}"

    context = read(f"postgresql://u@h/app?sslmode=verify-full&{files}").parameters.ssl

    assert context.verify_flags & ssl.VERIFY_CRL_CHECK_CHAIN


def test_options_become_arguments_of_the_driver() -> None:
    given = read(
        "postgresql://u@h/app?connect_timeout=7&application_name=api&currentSchema=tenant"
        "&options=-c%20work_mem%3D4MB%20--statement-timeout=5s+-cTimeZone=Europe/Old\\%20Town"
        "&sslmode=require&sslnegotiation=direct&ssl_min_protocol_version=TLSv1.3"
        "&statement_cache_size=0&prepared_statement_cache_size=0&passfile=/run/pgpass"
    ).given

    assert given["timeout"] == 7
    assert given["server_settings"] == {
        "application_name": "api",
        "search_path": "tenant",
        "work_mem": "4MB",
        "statement_timeout": "5s",
        "timezone": "Europe/Old Town",
    }
    assert given["direct_tls"] is True
    assert given["ssl"].minimum_version == ssl.TLSVersion.TLSv1_3
    assert (given["statement_cache_size"], given["prepared_statement_cache_size"]) == (0, 0)
    assert given["passfile"] == "/run/pgpass"


def test_connect_timeout_0_keeps_the_default_timeout() -> None:
    address = read_database_url("postgresql://u@h/app?connect_timeout=0", root=ROOT)

    assert connection_of(address, defaults={"timeout": 3})[1]["timeout"] == 3


def test_options_of_the_url_override_defaults() -> None:
    address = read_database_url(
        "postgresql://u@h/app?connect_timeout=7&application_name=api", root=ROOT
    )
    defaults = {"timeout": 3, "server_settings": {"application_name": "x", "lock_timeout": "1"}}

    _, arguments = connection_of(address, defaults=defaults)

    assert arguments["timeout"] == 7
    assert arguments["server_settings"] == {"application_name": "api", "lock_timeout": "1"}


@pytest.mark.parametrize(
    ("asked", "writing", "reading"),
    [
        ("any", "any", "any"),
        ("primary", "primary", "primary"),
        ("read-write", "read-write", "primary"),
        ("read-only", None, "standby"),
        ("standby", None, "standby"),
        ("prefer-standby", None, "prefer-standby"),
    ],
)
def test_the_required_kind_of_server_depends_on_whether_the_connection_writes(
    asked: str, writing: str | None, reading: str
) -> None:
    url = f"postgresql://u@h1,h2/app?target_session_attrs={asked}"

    assert read(url, read_only=True).parameters.target_session_attrs == reading
    if writing is None:
        with pytest.raises(AddressError, match=f"target_session_attrs={asked} selects a server"):
            read(url)
    else:
        assert read(url).parameters.target_session_attrs == writing


def test_the_variable_of_libpq_requires_a_kind_of_server_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "read-write")

    found = read("postgresql://u@h/app", read_only=True).parameters

    assert found.target_session_attrs == "primary"


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///./app.db", "/srv/app/app.db"),
        ("sqlite:////var/app.db", "/var/app.db"),
        ("sqlite+aiosqlite:///data/my%20app.db", "/srv/app/data/my app.db"),
        ("sqlite+pysqlite:////var/app.db?check_same_thread=false", "/var/app.db"),
        ("sqlite:////var/app.db?mode=rwc&cache=private", "/var/app.db"),
        ("sqlite:///file:/var/app.db?uri=true", "/var/app.db"),
        ("  sqlite:////var/app.db\n", "/var/app.db"),
    ],
)
def test_a_url_of_sqlite_names_a_file(url: str, file: str) -> None:
    address = read_database_url(url, root=ROOT)

    assert address.drivername == "sqlite+aiosqlite"
    assert address.database == file
    assert connection_of(address, defaults={"isolation_level": None}) == (
        address,
        {"isolation_level": None},
    )
    assert name_of(address) == f"SQLite {file}"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://u:canary@h/app", "PostgreSQL h:5432/app"),
        ("postgresql://u:canary@h1,h2:5433/app", "PostgreSQL h1:5432,h2:5433/app"),
        ("postgresql:///app", "PostgreSQL localhost:5432/app"),
        ("postgresql://[::1]/app", "PostgreSQL [::1]:5432/app"),
        ("postgresql:///app?host=/run/pg", "PostgreSQL /run/pg:5432/app"),
    ],
)
def test_the_name_of_a_database_omits_its_password(url: str, name: str) -> None:
    assert name_of(read_database_url(url, root=ROOT)) == name
