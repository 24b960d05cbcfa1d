"""Start-up with unsafe or wrong settings is refused, in lines that contain no secret."""

import hashlib
import os
import sys
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Final

import pytest
from limits import parse
from pydantic import SecretStr

from examples.catalogue.core.config import Settings, get_settings
from mscr.core.notices import Notice
from mscr.testing import warm_processes
from mscr.tests.support.paths import CATALOGUE, REPOSITORY

START: Final = [sys.executable, "-m", "examples.catalogue.main"]
Finished = CompletedProcess[bytes]
UNSET: Final = ""


def random_key(name: str) -> str:
    """Return a key that looks random and is the same in each run."""
    return hashlib.sha256(name.encode()).hexdigest()


SAFE: Final = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": random_key("secret"),
    "JWT_SECRET_KEY": random_key("jwt"),
    "DATABASE_URL": "postgresql+asyncpg://app:canary@db.invalid:5432/app",
    "REDIS_URL": "redis://:canary@cache.invalid:6379/0",
    "WEB_CONCURRENCY": "4",
    "CORS_ORIGINS": "https://app.example.com,http://localhost:3000",
    "TRUSTED_PROXIES": "10.0.0.1,172.16.0.0/12",
}

BY_MAIL: Final = {
    "REGISTRATION_BY_MAIL": "true",
    "SMTP_URL": "smtp://app:canary@mail.example.com:587",
    "MAIL_FROM": "canary@example.com",
    "PUBLIC_URL": "https://app.example.com",
}

# The settings that differ from the safe ones, and the beginning of the error line.
UNSAFE: Final = {
    "SECRET_KEY missing": ({"SECRET_KEY": UNSET}, "SECRET_KEY is not set"),
    "JWT_SECRET_KEY missing": ({"JWT_SECRET_KEY": UNSET}, "JWT_SECRET_KEY is not set"),
    "SECRET_KEY short": ({"SECRET_KEY": "canary" * 5}, "SECRET_KEY needs at least 32"),
    "SECRET_KEY sample": (
        {"SECRET_KEY": "your-secret-key" * 3},
        "SECRET_KEY contains a word of a sample",
    ),
    "JWT_SECRET_KEY sample": (
        {"JWT_SECRET_KEY": "ChangeMe-0123456789-abcdefghijklm"},
        "JWT_SECRET_KEY contains a word of a sample",
    ),
    "keys shared": (
        {"JWT_SECRET_KEY": SAFE["SECRET_KEY"]},
        "SECRET_KEY and JWT_SECRET_KEY must differ",
    ),
    "DEBUG": ({"DEBUG": "true"}, "DEBUG must be off"),
    "CORS_ORIGINS": ({"CORS_ORIGINS": "*"}, "CORS_ORIGINS must list exact origins"),
    "TRUSTED_PROXIES": ({"TRUSTED_PROXIES": "*"}, "TRUSTED_PROXIES must list addresses"),
    "limiter off": ({"RATE_LIMIT_ENABLED": "false"}, "RATE_LIMIT_ENABLED must be on"),
    "limiter in memory": ({"REDIS_URL": UNSET}, "The rate limiter in memory serves one worker"),
    "DATABASE_URL missing": ({"DATABASE_URL": UNSET}, "DATABASE_URL is not set"),
    "SQLite": ({"DATABASE_URL": "sqlite:///./app.db"}, "SQLite serves one worker"),
    "plain page with the cookie": (
        {"REFRESH_TOKEN_TRANSPORT": "cookie"},
        "CORS_ORIGINS must be https in production with REFRESH_TOKEN_TRANSPORT=cookie",
    ),
    "mail without a server": (
        {**BY_MAIL, "SMTP_URL": UNSET},
        "SMTP_URL is not set, and REGISTRATION_BY_MAIL",
    ),
    "mail without a sender": (
        {**BY_MAIL, "MAIL_FROM": UNSET},
        "MAIL_FROM is not set, and REGISTRATION_BY_MAIL",
    ),
    "mails in files": ({"MAIL_FOLDER": "./canary"}, "MAIL_FOLDER is for development"),
    "a mail server without a sender": (
        {**BY_MAIL, "REGISTRATION_BY_MAIL": UNSET, "MAIL_FROM": UNSET},
        "MAIL_FROM is not set, and SMTP_URL",
    ),
    "links to nowhere": ({**BY_MAIL, "PUBLIC_URL": UNSET}, "PUBLIC_URL is not set"),
    "links in the clear": (
        {**BY_MAIL, "PUBLIC_URL": "http://canary.example.com"},
        "PUBLIC_URL must be https",
    ),
    "common passwords": ({"PASSWORD_REFUSE_COMMON": "false"}, "PASSWORD_REFUSE_COMMON must be on"),
    "weak hashes": ({"ARGON2_TIME_COST": "1"}, "ARGON2_TIME_COST must be at least 2"),
}

# More wrong values, which need no process of their own.
WRONG: Final = [
    ("JWT_SECRET_KEY", "canary" * 5, "JWT_SECRET_KEY needs at least 32"),
    ("SECRET_KEY", "canary" * 8, "SECRET_KEY has fewer than 10 different characters"),
    ("SECRET_KEY_PREVIOUS", f"{random_key('old')},canary", "SECRET_KEY_PREVIOUS needs at least"),
    ("SECRET_KEY_PREVIOUS", SAFE["JWT_SECRET_KEY"], "SECRET_KEY and JWT_SECRET_KEY must differ"),
    (
        "JWT_SECRET_KEY_PREVIOUS",
        "placeholder" * 4,
        "JWT_SECRET_KEY_PREVIOUS contains a word of a sample",
    ),
    ("SECRET_KEY_PREVIOUS", "canary" * 8, "SECRET_KEY_PREVIOUS has fewer than 10 different"),
    ("JWT_SECRET_KEY_PREVIOUS", SAFE["SECRET_KEY"], "SECRET_KEY and JWT_SECRET_KEY must differ"),
    ("JWT_ALGORITHM", "EdDSA", "JWT_PRIVATE_KEY is not set, and EdDSA needs it"),
    ("JWT_ALGORITHM", "canary", "JWT_ALGORITHM: Input should be"),
    ("JWT_PRIVATE_KEY", "canary", "JWT_PRIVATE_KEY is set, and JWT_ALGORITHM=HS256"),
    ("JWT_PUBLIC_KEYS", "canary", "JWT_PUBLIC_KEYS is set, and JWT_ALGORITHM=HS256"),
    ("ARGON2_MEMORY_KIB", "19455", "ARGON2_MEMORY_KIB must be at least 19456"),
    ("TRUSTED_PROXIES", "canary", "TRUSTED_PROXIES: needs addresses or networks"),
    ("TRUSTED_PROXIES", "10.0.0.1,10.0.0.0/40", "TRUSTED_PROXIES: needs addresses or networks"),
    ("CORS_ALLOWED_HEADERS", "X-A,*", "CORS_ALLOWED_HEADERS: needs names of headers"),
    ("CORS_EXPOSED_HEADERS", "X-canary: 1", "CORS_EXPOSED_HEADERS: needs names of headers"),
    ("CORS_ORIGINS", "null", "CORS_ORIGINS must list exact origins"),
    ("CORS_ORIGINS", "https://*.example.com", "CORS_ORIGINS must list exact origins"),
    ("CORS_ORIGINS", "https://app.example.com/", "CORS_ORIGINS must list exact origins"),
    ("TRUSTED_PROXIES", "0.0.0.0/0", "TRUSTED_PROXIES must list addresses"),
    ("TRUSTED_PROXIES", "10.0.0.1,::/0", "TRUSTED_PROXIES must list addresses"),
    ("DATABASE_URL", "canary", "DATABASE_URL: not a URL; it needs the form postgresql://"),
    ("DATABASE_URL", "postgresql://app:canary", "DATABASE_URL: the port is not a number"),
    ("DATABASE_URL", "mysql://app:canary@db/app", "DATABASE_URL: the database must be"),
    ("DATABASE_URL", "sqlite+aiosqlite://", "DATABASE_URL: SQLite needs a file"),
    (
        "DATABASE_URL",
        "postgresql://app:canary@db/app?pgbouncer=true",
        "DATABASE_URL has pgbouncer, and DATABASE_POOLER is none; set it to transaction",
    ),
    (
        "DATABASE_URL",
        "postgresql://app:canary@db/app?statement_timeout=5000",
        "DATABASE_URL: statement_timeout does not belong in the URL; set DATABASE_STATEMENT_TIM",
    ),
    (
        "DATABASE_URL",
        "postgresql://app:canary@db/app?options=-c%20idle_in_transaction_session_timeout=1",
        "DATABASE_URL: options: idle_in_transaction_session_timeout does not belong in the URL",
    ),
    (
        "DATABASE_URL",
        "postgresql://app:canary@db/app?connection_limit=1",
        "DATABASE_URL: connection_limit does not belong in the URL; set DATABASE_POOL_SIZE",
    ),
    ("DATABASE_REPLICA_URL", "mysql://app:canary@db/app", "DATABASE_REPLICA_URL: the database"),
    ("REDIS_URL", "canary", "REDIS_URL: not a URL; it needs the form redis://"),
    ("REDIS_URL", "http://:canary@cache:6379", "REDIS_URL: this is the URL of a REST interface"),
    ("REDIS_URL", "redis://cache:canary", "REDIS_URL: the port is not a number"),
    ("SMTP_URL", "canary", "SMTP_URL: not a URL; it needs the form smtp://user:pass@host:587"),
    ("SMTP_URL", "http://app:canary@mail", "SMTP_URL: it needs the form smtp://"),
    ("SMTP_URL", "smtp://app:canary@", "SMTP_URL: it needs one host"),
    ("SMTP_URL", "smtp://app:canary@one,two", "SMTP_URL: it needs one host"),
    ("SMTP_URL", "smtp://app:canary@:587", "SMTP_URL: it needs one host"),
    ("SMTP_URL", "smtp://mail/canary", "SMTP_URL: it must end after the port"),
    ("SMTP_URL", "smtp://mail?starttls=canary", "SMTP_URL: starttls: unknown option; remove it"),
    ("SMTP_URL", "smtp://app:can:ary@mail:canary", "SMTP_URL: the port is not a number"),
    ("SMTP_URL", "smtp://app:can/ary@mail:587", "SMTP_URL: an @ after the host; percent-encode"),
    ("SMTP_URL", "smtp://app:canary@mail:99999", "SMTP_URL: the port must be from 1 to 65535"),
    ("SMTP_URL", "smtp://canary@mail", "SMTP_URL: it needs a user and a password"),
    ("MAIL_FROM", "canary", "MAIL_FROM: needs an email address, as in no-reply@example.com; an em"),
    ("MAIL_FROM", "a@example.com\nBcc: canary@example.com", "MAIL_FROM: needs an email address"),
    ("MAIL_FROM", "Canary <canary@example.com>", "MAIL_FROM: needs a bare address"),
    (
        "MAIL_FROM",
        "canary@app.local",
        "MAIL_FROM: needs an email address, as in no-reply@example.com; the part after the @-sign",
    ),
    ("NOTICES", "new_device,canary", "NOTICES: needs names of new_device, password_changed, em"),
    ("NOTICES", '["new_device"]', "NOTICES: needs values separated by commas"),
    ("PUBLIC_URL", "canary", "PUBLIC_URL: needs the form https://"),
    ("PUBLIC_URL", "ftp://canary.example.com", "PUBLIC_URL: needs the form https://"),
    ("PUBLIC_URL", "https://canary@evil.example", "PUBLIC_URL: needs the form https://"),
    ("PUBLIC_URL", "https://app.example.com/?canary", "PUBLIC_URL: needs the form https://"),
    ("PUBLIC_URL", "https://app.example.com/#canary", "PUBLIC_URL: needs the form https://"),
    ("PUBLIC_URL", "https://app.example.com/\ncanary", "PUBLIC_URL: needs the form https://"),
    ("PUBLIC_URL", "https://canary.example.com:99999", "PUBLIC_URL: the port must be from 1 to"),
    ("REGISTRATION_LINK_EXPIRE_MINUTES", "1441", "REGISTRATION_LINK_EXPIRE_MINUTES: Input"),
    ("AUTH_RATE_LIMIT_ACCOUNT", "canary", "AUTH_RATE_LIMIT_ACCOUNT: needs one limit of the form"),
    (
        "AUTH_RATE_LIMIT_ADDRESS",
        "5 per canary",
        "AUTH_RATE_LIMIT_ADDRESS: the window's unit must be one of second, minute, hour, day",
    ),
    ("API_RATE_LIMIT", "5/minute;10/hour", "API_RATE_LIMIT: needs one limit of the form"),
    ("API_RATE_LIMIT", "5/minute canary", "API_RATE_LIMIT: needs one limit of the form"),
    ("API_RATE_LIMIT", "-5/minute", "API_RATE_LIMIT: needs one limit of the form"),
    ("API_RATE_LIMIT", "1,000/minute", "API_RATE_LIMIT: needs one limit of the form"),
    ("API_RATE_LIMIT", "0/minute", "API_RATE_LIMIT: the amount must be from 1 to 999999999"),
    (
        "API_RATE_LIMIT",
        "1000000000/minute",
        "API_RATE_LIMIT: the amount must be from 1 to 9",
    ),
    ("API_RATE_LIMIT", "9" * 5000 + "/minute", "API_RATE_LIMIT: the amount must be from 1 to"),
    (
        "REFRESH_RATE_LIMIT_SESSION",
        "5/0 minutes",
        "REFRESH_RATE_LIMIT_SESSION: the window must be from 1 to 999999 units",
    ),
    (
        "REFRESH_RATE_LIMIT_ADDRESS",
        "5/1000000 years",
        "REFRESH_RATE_LIMIT_ADDRESS: the window must be from 1 to 999999 units",
    ),
    ("REFRESH_TOKEN_TRANSPORT", "canary", "REFRESH_TOKEN_TRANSPORT: Input should be"),
    ("REFRESH_TOKEN_TRANSPORT", "both", "REFRESH_TOKEN_TRANSPORT: Input should be"),
    ("LOG_LEVEL", "canary", "LOG_LEVEL: must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
    ("CORS_ORIGINS", '["https://canary.example.com"]', "CORS_ORIGINS: needs values separated by"),
    (
        "DATABASE_POOL_TIMEOUT_SECONDS",
        "nan",
        "DATABASE_POOL_TIMEOUT_SECONDS: Input should be a",
    ),
    ("ENVIRONMENT", "canary", "ENVIRONMENT: Input should be"),
    ("PORT", "canary", "PORT: Input should be a valid integer"),
    ("JWT_LEEWAY_SECONDS", "61", "JWT_LEEWAY_SECONDS: Input should be less"),
    ("PASSWORD_MIN_LENGTH", "7", "PASSWORD_MIN_LENGTH: Input should be greater"),
]

# URLs as people write them, and as the drivers need them.
COMPLETED: Final = [
    ("DATABASE_URL", "postgres://a@db/app", "postgresql+asyncpg://a@db/app"),
    (
        "DATABASE_URL",
        "postgresql://a:p%40s@db:5432/app",
        "postgresql+asyncpg://a:p%40s@db:5432/app",
    ),
    (
        "DATABASE_URL",
        "postgres://a@db/app?sslmode=require",
        "postgresql+asyncpg://a@db/app?ssl=require",
    ),
    ("DATABASE_URL", "sqlite:///./app.db", f"sqlite+aiosqlite:///{CATALOGUE}/app.db"),
    ("DATABASE_URL", "sqlite:////var/app.db", "sqlite+aiosqlite:////var/app.db"),
    ("REDIS_URL", "redis://cache", "redis://cache:6379"),
    ("PUBLIC_URL", "https://app.example.com/start/", "https://app.example.com/start"),
    ("PUBLIC_URL", "HTTPS://app.example.com:8443", "https://app.example.com:8443"),
    ("PUBLIC_URL", "https://[::1]:8000/start/", "https://[::1]:8000/start"),
    ("SMTP_URL", "smtps://app:p%40ss@[::1]:465/", "smtps://app:p%40ss@[::1]:465"),
    ("SMTP_URL", "SMTP://app:p@ss#1@mail.example.com", "smtp://app:p%40ss%231@mail.example.com"),
    ("SMTP_URL", "smtp://mail.example.com", "smtp://mail.example.com"),
    ("REDIS_URL", "redis://:pass@cache/2", "redis://:pass@cache:6379/2"),
    ("REDIS_URL", "rediss://cache:7000/0", "rediss://cache:7000/0"),
    ("REDIS_URL", "redis://[::1]/0", "redis://[::1]:6379/0"),
    ("REDIS_URL", "unix:///run/valkey.sock?db=1", "unix:///run/valkey.sock?db=1"),
]


@pytest.fixture(scope="module")
def ended() -> dict[str, Finished]:
    """Start a process for each set of settings, and return the results."""
    safe: dict[str, dict[str, str]] = {"safe": {}, "by mail": BY_MAIL}
    changes = safe | {name: changes for name, (changes, _) in UNSAFE.items()}
    outside = {k: v for k, v in os.environ.items() if k not in Settings.model_fields}
    return {
        name: warm_processes.run(START, outside | SAFE | changed, cwd=REPOSITORY, timeout=60)
        for name, changed in changes.items()
    }


def output(finished: Finished) -> str:
    return (finished.stdout + finished.stderr).decode()


def test_the_safe_settings_start(ended: dict[str, Finished]) -> None:
    """CF1: every other case differs from these settings in one respect only."""
    for safe in ("safe", "by mail"):
        started = ended[safe]
        assert (started.returncode, started.stdout, started.stderr) == (0, b"", b"")


@pytest.mark.parametrize("fault", UNSAFE)
def test_an_unsafe_setting_keeps_production_from_starting(
    ended: dict[str, Finished], fault: str
) -> None:
    """CF1."""
    assert ended[fault].returncode == 1


@pytest.mark.parametrize("fault", UNSAFE)
def test_an_unsafe_setting_is_named_in_one_line(ended: dict[str, Finished], fault: str) -> None:
    """CF1: and without a traceback."""
    [line] = output(ended[fault]).splitlines()
    assert line.startswith(f"Configuration error: {UNSAFE[fault][1]}")


@pytest.mark.parametrize("fault", UNSAFE)
def test_no_secret_is_printed(ended: dict[str, Finished], fault: str) -> None:
    """CF1: neither the unsafe value nor any other secret."""
    environment = SAFE | UNSAFE[fault][0]
    secrets = {value for name, value in environment.items() if "KEY" in name and value}

    assert not [s for s in secrets | {"canary"} if s in output(ended[fault])]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Set the safe settings and no others."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
    for name, value in SAFE.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def load_settings() -> Settings:
    """Load the settings, as a process does when it starts."""
    return get_settings.__wrapped__()


@pytest.mark.parametrize(("name", "value", "line"), WRONG)
def test_a_wrong_value_is_named_in_one_line_that_does_not_repeat_it(
    environment: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    """CF1."""
    environment.setenv(name, value)

    with pytest.raises(SystemExit) as refused:
        load_settings()

    [told] = str(refused.value).splitlines()
    assert told.startswith(f"Configuration error: {line}")
    assert "canary" not in told


def test_every_faulty_setting_has_a_line_of_its_own(environment: pytest.MonkeyPatch) -> None:
    """CF1."""
    environment.setenv("DEBUG", "true")
    environment.setenv("CORS_ORIGINS", "*")
    environment.setenv("ARGON2_TIME_COST", "1")

    with pytest.raises(SystemExit) as refused:
        load_settings()

    lines = str(refused.value).splitlines()
    assert [line.split()[2] for line in lines] == ["DEBUG", "CORS_ORIGINS", "ARGON2_TIME_COST"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("DEBUG", "true"), ("CORS_ORIGINS", "*"), ("RATE_LIMIT_ENABLED", "false"), ("REDIS_URL", "")],
)
def test_development_allows_settings_that_production_refuses(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv("ENVIRONMENT", "development")
    environment.setenv(name, value)

    assert not load_settings().is_production


def test_development_refuses_two_ways_of_mails(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ENVIRONMENT", "development")
    environment.setenv("SMTP_URL", BY_MAIL["SMTP_URL"])
    environment.setenv("MAIL_FOLDER", "mails")

    with pytest.raises(SystemExit, match="MAIL_FOLDER and SMTP_URL are both set"):
        load_settings()


@pytest.mark.parametrize("origins", ["*", "null", "https://*.example.com", "http://localhost:1/"])
def test_with_the_cookie_every_environment_requires_exact_origins(
    environment: pytest.MonkeyPatch, origins: str
) -> None:
    """CF1, CK4: `*` with credentials would let any page act on behalf of its visitors."""
    environment.setenv("ENVIRONMENT", "development")
    environment.setenv("REFRESH_TOKEN_TRANSPORT", "cookie")
    environment.setenv("CORS_ORIGINS", origins)

    with pytest.raises(SystemExit, match="CORS_ORIGINS must list exact origins"):
        load_settings()


def test_with_the_cookie_production_requires_https_origins(environment: pytest.MonkeyPatch) -> None:
    """CK4: development trusts the local machine without TLS."""
    environment.setenv("REFRESH_TOKEN_TRANSPORT", "cookie")
    environment.setenv("CORS_ORIGINS", "https://app.example.com,https://admin.example.com:8443")
    assert load_settings().refresh_token_in_cookie

    environment.setenv("ENVIRONMENT", "development")
    environment.setenv("CORS_ORIGINS", "http://localhost:3000")
    assert load_settings().refresh_token_in_cookie


@pytest.mark.parametrize(("name", "value", "completed"), COMPLETED)
def test_a_url_is_normalized(
    environment: pytest.MonkeyPatch, name: str, value: str, completed: str
) -> None:
    environment.setenv("WEB_CONCURRENCY", "1")
    for each, needed in {**BY_MAIL, name: value}.items():
        environment.setenv(each, needed)

    found = getattr(load_settings(), name)

    assert completed == (found if isinstance(found, str) else found.get_secret_value())


def test_a_declared_pooler_accepts_the_pgbouncer_option(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("DATABASE_URL", "postgresql://app:canary@db:6543/app?pgbouncer=true")
    environment.setenv("DATABASE_POOLER", "transaction")

    assert load_settings().database_url.port == 6543

    environment.setenv("DATABASE_REPLICA_URL", "postgresql://db/app?statement_cache_size=10")
    with pytest.raises(SystemExit, match="DATABASE_REPLICA_URL has statement_cache_size, and"):
        load_settings()


def test_the_settings_show_no_secret(environment: pytest.MonkeyPatch) -> None:
    """ER3."""
    settings = load_settings()

    shown = f"{settings!r} {settings}"
    assert not [s for s in ("canary", SAFE["SECRET_KEY"], SAFE["JWT_SECRET_KEY"]) if s in shown]


def test_the_environment_overrides_the_env_file(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("PORT=9001\nHOST=192.0.2.1\n")
    environment.setenv("ENV_FILE", str(env_file))
    environment.setenv("PORT", "9002")

    settings = load_settings()

    assert (settings.PORT, settings.HOST) == (9002, "192.0.2.1")


def test_whitespace_around_every_setting_is_removed(environment: pytest.MonkeyPatch) -> None:
    """For every type: strings, numbers, booleans, lists, URLs and secrets."""
    expected = load_settings()
    for name, value in expected.model_dump(mode="json", exclude_none=True).items():
        found = getattr(expected, name)
        text = found.get_secret_value() if isinstance(found, SecretStr) else value
        if not isinstance(text, list):
            environment.setenv(name, f" \t{text}\r\n")
    for name, value in SAFE.items():
        environment.setenv(name, "\u00a0" + value.replace(",", " ,\t") + " \n")

    assert load_settings() == expected


def test_a_setting_can_be_read_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "database_url"
    file.write_text("\ufeffpostgres://app:canary@db/app?sslmode=require\n", encoding="utf-8")
    environment.delenv("DATABASE_URL")
    environment.setenv("DATABASE_URL_FILE", str(file))

    assert load_settings().DATABASE_URL == "postgresql+asyncpg://app:canary@db/app?ssl=require"

    file.unlink()
    with pytest.raises(SystemExit) as refused:
        load_settings()
    assert str(refused.value) == (
        f"Configuration error: DATABASE_URL: cannot read {file}: No such file or directory "
        "(DATABASE_URL_FILE)"
    )


@pytest.mark.parametrize(
    ("variable", "line"),
    [("ENV_FILE", "is not UTF-8 text."), ("CREDENTIALS_DIRECTORY", ": Not a directory.")],
)
def test_an_unreadable_source_is_one_line(
    environment: pytest.MonkeyPatch, tmp_path: Path, variable: str, line: str
) -> None:
    file = tmp_path / "latin"
    file.write_bytes(b"PORT=\xff")
    environment.setenv(variable, str(file))

    with pytest.raises(SystemExit) as refused:
        load_settings()

    [told] = str(refused.value).splitlines()
    assert str(file) in told
    assert told.endswith(line)


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        ("5/15 minutes", 900),
        ("1 per day", 86_400),
        ("600/Hour", 3600),
        ("999999999/minute", 60),
        ("9/999999years", 999_999 * 360 * 86_400),
    ],
)
def test_a_limit_is_an_amount_and_a_time(
    environment: pytest.MonkeyPatch, limit: str, seconds: int
) -> None:
    environment.setenv("API_RATE_LIMIT", limit)

    window = timedelta(seconds=parse(load_settings().API_RATE_LIMIT).get_expiry())

    assert window.total_seconds() == seconds


@pytest.mark.parametrize(
    ("value", "notices"),
    [
        ("[]", []),
        (" [] ", []),
        ("new_device, reuse_detected", [Notice.NEW_DEVICE, Notice.REUSE_DETECTED]),
        ("", [*Notice]),
    ],
)
def test_notices_are_named_or_none(
    environment: pytest.MonkeyPatch, value: str, notices: list[Notice]
) -> None:
    environment.setenv("NOTICES", value)

    found = load_settings().NOTICES

    assert found == notices


def test_an_empty_variable_counts_as_unset(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PORT", "")

    assert load_settings().PORT == 8000


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ({}, 0),
        ({"ENVIRONMENT": "production"}, 5),
        ({"ENVIRONMENT": "production", "DRAIN_SECONDS": "0"}, 0),
        ({"DRAIN_SECONDS": "3"}, 3),
    ],
)
def test_a_server_drains_for_five_seconds_in_production_by_default(
    values: dict[str, str], seconds: int
) -> None:
    strong = {"ARGON2_MEMORY_KIB": "19456", "ARGON2_TIME_COST": "2", "RATE_LIMIT_ENABLED": "true"}
    given: dict[str, Any] = {**SAFE, **strong, "ENVIRONMENT": "development", **values}

    assert Settings.from_env_file(None, **given).drain_seconds == seconds
