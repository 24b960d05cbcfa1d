"""Every setting of the application, read once from the environment, `.env` and secret files.

Precedence: environment variable, then `.env`, then a file of systemd's credentials directory, then
one of `/run/secrets`, then the default. NAME_FILE, beside NAME in the environment or in `.env`,
holds the path of a file with the value. `settings_sources` reads them all.
`python cli.py env-example --write` makes `.env.example` from this module.
"""

import os
import sys
from datetime import timedelta
from enum import Enum as PyEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy.engine import URL, make_url

from app.core.config_rules import (
    MIN_SECRET_LENGTH,
    check_header_name,
    check_limit,
    check_proxy,
    development_faults,
    fault_lines,
    pooler_faults,
    production_faults,
    signing_key_faults,
)
from app.core.hosts import canonical_origin, check_host_pattern
from app.core.mail_rules import check_mail_from, check_public_url, check_smtp_url
from app.core.pooler import Pooler
from app.core.root_path import check_root_path
from app.core.security.signing_algorithm import SigningAlgorithm
from app.core.server_urls.database import read_database_url, text_of
from app.core.server_urls.redis import read_redis_url
from app.core.settings_sources import customized_sources, refuse_unreadable, stripped

PROJECT_ROOT = Path(__file__).resolve().parents[2]
SECRETS_DIR = Path("/run/secrets")
# More would be taken from requests in flight.
MAX_CLOSING_TIME = timedelta(seconds=5)

# Options that a database's URL must not have, as a setting governs them, and the remedy.
GOVERNED: Final = {
    **dict.fromkeys(
        ("statement_timeout", "command_timeout", "socket_timeout"),
        "set DATABASE_STATEMENT_TIMEOUT_SECONDS",
    ),
    **dict.fromkeys(("lock_timeout", "timeout"), "set DATABASE_LOCK_TIMEOUT_SECONDS"),
    **dict.fromkeys(("pool_size", "max_overflow", "connection_limit"), "set DATABASE_POOL_SIZE"),
    "pool_timeout": "set DATABASE_POOL_TIMEOUT_SECONDS",
    "idle_in_transaction_session_timeout": "set DATABASE_IDLE_TRANSACTION_TIMEOUT_SECONDS",
    "default_transaction_read_only": "remove it: sessions that read are read-only already",
}
# Two or three checks of a load balancer.
PRODUCTION_DRAIN_SECONDS: Final = 5

CommaSeparated = Annotated[list[str], NoDecode]
Secret = Annotated[SecretStr, Field(min_length=MIN_SECRET_LENGTH)]
SecretList = Annotated[list[Secret], NoDecode]


class Environment(str, PyEnum):
    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


class RefreshTokenTransport(str, PyEnum):
    BODY = "body"
    COOKIE = "cookie"


class Settings(BaseSettings):
    """The settings, typed and bounded. Production adds the rules of `config_rules`."""

    model_config = SettingsConfigDict(
        extra="ignore",
        env_ignore_empty=True,
        # "nan" is a float, and would be refused by whatever bound comes first.
        allow_inf_nan=False,
        # Takes a byte order mark for what it is: no part of the first name.
        env_file_encoding="utf-8-sig",
        hide_input_in_errors=True,
        secrets_dir=SECRETS_DIR if SECRETS_DIR.is_dir() else None,
    )

    # --- Application
    ENVIRONMENT: Environment = Field(
        Environment.DEVELOPMENT, description="development, test or production."
    )
    DEBUG: bool = Field(
        default=False, description="Verbose logs and SQL echo. Refused in production."
    )
    APP_NAME: str = Field("FastAPI Backend", max_length=80, description="Shown in the API docs.")
    LOG_LEVEL: Annotated[str, Field(pattern=r"^(DEBUG|INFO|WARNING|ERROR|CRITICAL)$")] = Field(
        "INFO", description="Lowest level that is logged."
    )
    LOG_JSON: bool | None = Field(
        None, description="One JSON object a line. Default: in production only."
    )
    ACCESS_LOG: bool = Field(default=True, description="Log one line for each request.")
    DOCS_ENABLED: bool = Field(default=True, description="Serve /docs, /redoc and /openapi.json.")

    # --- Server (read by `python cli.py serve`)
    HOST: str = Field(
        "127.0.0.1",
        description="Address to listen on; 0.0.0.0 for every IPv4 address, :: for IPv6 as well.",
    )
    PORT: int = Field(8000, ge=0, le=65535, description="Port to listen on.")
    WEB_CONCURRENCY: int = Field(1, ge=1, le=64, description="Worker processes.")
    TRUSTED_PROXIES: CommaSeparated = Field(
        default=[],
        description="Addresses or networks of the proxies whose X-Forwarded-For and "
        "X-Forwarded-Proto are believed, or unix for a unix socket; docs/running.md. Empty: none.",
    )
    ROOT_PATH: Annotated[str, AfterValidator(check_root_path)] = Field(
        "", description="Path prefix that a proxy serves this under, as /svc; docs/running.md."
    )
    CORS_ORIGINS: CommaSeparated = Field(
        default=[], description="Exact origins a browser may call from, comma-separated."
    )
    CORS_ALLOWED_HEADERS: CommaSeparated = Field(
        default=[],
        description="Further request headers that pages of CORS_ORIGINS may send, such as "
        "X-Client-Version.",
    )
    CORS_EXPOSED_HEADERS: CommaSeparated = Field(
        default=[], description="Further response headers that pages of CORS_ORIGINS may read."
    )
    ALLOWED_HOSTS: CommaSeparated = Field(
        default=[],
        description="Host names that are served at any port, such as api.example.com or "
        "*.example.com. Empty: any. Health is answered for any host.",
    )
    MAX_BODY_BYTES: int = Field(
        1_048_576, ge=1024, le=104_857_600, description="Largest request body, in bytes."
    )
    MAX_CONNECTIONS: int = Field(
        1000, ge=10, le=100_000, description="Open connections of a worker; one more gets 503."
    )
    HTTP_HEADER_TIMEOUT_SECONDS: int = Field(
        20, ge=1, le=300, description="Time for a request's headers to arrive, or 408."
    )
    HTTP_BODY_TIMEOUT_SECONDS: int = Field(
        30,
        ge=1,
        le=600,
        description="In each such period a request body must bring 128 bytes a second, or 408.",
    )
    KEEP_ALIVE_SECONDS: int = Field(
        75,
        ge=1,
        le=4000,
        description="Idle connections are closed after it. It must exceed the idle timeout of the "
        "proxy in front: 60 for nginx and AWS, 600 for Google Cloud.",
    )
    DRAIN_SECONDS: int | None = Field(
        None,
        ge=0,
        le=300,
        description="Normal service after SIGTERM, while readiness fails, until load balancers "
        "have noticed. Default: 5 in production, otherwise 0.",
    )
    SHUTDOWN_TIMEOUT_SECONDS: int = Field(
        20,
        ge=1,
        le=300,
        description="Time to stop after the drain: for requests in flight, and at its end (a "
        "quarter, at most 5 s) for mails and connections.",
    )

    # --- Secrets (at least 32 characters, each its own; `make run` writes them into .env)
    SECRET_KEY: Secret = Field(
        description="Root key of refresh tokens, cursors and encrypted fields."
    )
    SECRET_KEY_PREVIOUS: SecretList = Field(
        default=[], description="Earlier SECRET_KEYs that are still accepted, comma-separated."
    )
    JWT_ALGORITHM: SigningAlgorithm = Field(
        SigningAlgorithm.HS256,
        description="How access tokens are signed: HS256, EdDSA or RS256. No other is accepted.",
    )
    JWT_SECRET_KEY: Secret | None = Field(
        None,
        validate_default=True,
        description="Key that signs access tokens with HS256, and required for it; not used with "
        "the other algorithms.",
    )
    JWT_SECRET_KEY_PREVIOUS: SecretList = Field(
        default=[], description="Earlier JWT_SECRET_KEYs that are still accepted, comma-separated."
    )
    JWT_PRIVATE_KEY: SecretStr | None = Field(
        None,
        description="Key that signs access tokens with EdDSA or RS256: PEM, in one line with "
        r"\n for its line breaks. `python cli.py generate-keys --algorithm EdDSA` makes one.",
    )
    JWT_PUBLIC_KEYS: str = Field(
        "",
        description="Further public keys that are accepted and published, the previous and the "
        r"next one of a rotation: PEM blocks one after another, \n for their line breaks.",
    )

    # --- Database
    # Plain text, as SQLAlchemy takes it, and out of every repr because of the password in it.
    DATABASE_URL: str = Field(
        "sqlite+aiosqlite:///./app.db",
        validate_default=True,
        repr=False,
        description="postgresql://user:pass@host:5432/name, with libpq's options as providers show "
        "it, or sqlite+aiosqlite:///path; docs/database.md.",
    )
    DATABASE_REPLICA_URL: str | None = Field(
        None,
        repr=False,
        description="Where lists and other reads may go; docs/database.md. Default: the same.",
    )
    DATABASE_POOLER: Pooler = Field(
        Pooler.NONE,
        description="How a pooler before PostgreSQL, such as PgBouncer, shares connections: none "
        "(there is no pooler), session or transaction; docs/database.md.",
    )
    DATABASE_POOL_SIZE: int = Field(
        10,
        ge=1,
        le=500,
        description="Connections a worker keeps for writing, and for reading. "
        "One caller alone gets four fifths of them at most.",
    )
    DATABASE_POOL_TIMEOUT_SECONDS: float = Field(
        3.0, ge=0.1, le=30, description="Wait for a free connection before the answer is 503."
    )
    DATABASE_CONNECT_TIMEOUT_SECONDS: float = Field(
        3.0, ge=0.5, le=30, description="Wait for a new connection to PostgreSQL."
    )
    DATABASE_STATEMENT_TIMEOUT_SECONDS: float = Field(
        10.0, ge=0.1, le=600, description="Longest statement on PostgreSQL."
    )
    DATABASE_LOCK_TIMEOUT_SECONDS: float = Field(
        5.0, ge=0.1, le=600, description="Longest wait for a lock, on SQLite too."
    )
    DATABASE_IDLE_TRANSACTION_TIMEOUT_SECONDS: float = Field(
        15.0, ge=1, le=600, description="Longest idle time inside a transaction on PostgreSQL."
    )
    DATABASE_MIGRATION_LOCK_TIMEOUT_SECONDS: float = Field(
        300.0,
        ge=0.1,
        le=86_400,
        description="Longest wait for another process that migrates; on SQLite, that writes.",
    )

    DATABASE_IDLE_CHECK_SECONDS: float = Field(
        1.0,
        ge=0,
        le=3600,
        description="A connection to PostgreSQL that was idle for longer is checked before use, "
        "and replaced where a firewall has dropped it.",
    )
    DATABASE_POOL_RECYCLE_SECONDS: int = Field(
        1800, ge=1, le=86_400, description="A connection that is older is replaced before use."
    )
    TCP_KEEPALIVE_SECONDS: int = Field(
        30,
        ge=1,
        le=7200,
        description="Idle time after which a connection to PostgreSQL or Redis sends a probe, so "
        "that firewalls keep it.",
    )

    DELETED_RETENTION_DAYS: int = Field(
        30,
        ge=1,
        le=3650,
        description="What is deleted can be restored for so long at least, until "
        "`python cli.py purge-deleted`.",
    )

    # --- Tokens
    JWT_ACCESS_TOKEN_EXPIRE_MINUTES: int = Field(
        15, ge=1, le=1440, description="Lifetime of an access token."
    )
    JWT_REFRESH_TOKEN_EXPIRE_DAYS: int = Field(
        30, ge=1, le=365, description="Absolute lifetime of a login, refreshed or not."
    )
    REFRESH_TOKEN_IDLE_DAYS: int = Field(
        14, ge=1, le=365, description="A login that is not refreshed for so long ends."
    )
    REFRESH_TOKEN_REUSE_INTERVAL_SECONDS: int = Field(
        10,
        ge=0,
        le=60,
        description="For this long after a refresh, the previous refresh token returns the same "
        "successor again: a lost response or a second tab does not end the login, but a thief "
        "could replay the token as long. 0: every reuse ends the login; clients must refresh one "
        "at a time. 60: for clients on poor networks. docs/auth.md#rotation.",
    )
    REFRESH_TOKEN_TRANSPORT: RefreshTokenTransport = Field(
        RefreshTokenTransport.BODY,
        description="body, or cookie: for browsers, whose scripts must not see the token.",
    )
    MAX_SESSIONS_PER_USER: int = Field(
        20, ge=1, le=1000, description="One login more ends the session that was used longest ago."
    )
    RECENT_AUTHENTICATION_MINUTES: int = Field(
        15, ge=1, le=1440, description="After it, sensitive changes ask for the password again."
    )
    JWT_ISSUER: str = Field("fastapi-backend", min_length=1, description="Claim iss.")
    JWT_AUDIENCE: str = Field("fastapi-backend", min_length=1, description="Claim aud.")
    JWT_LEEWAY_SECONDS: int = Field(5, ge=0, le=60, description="Clock skew that is tolerated.")

    # --- Registration
    REGISTRATION_BY_MAIL: bool = Field(
        default=False,
        description="Answer every registration with 202 and let a mailed link make the account, so "
        "that nobody learns which addresses have one.",
    )
    REGISTRATION_LINK_EXPIRE_MINUTES: int = Field(
        60, ge=1, le=1440, description="Lifetime of that link."
    )

    # --- Mail
    SMTP_URL: Annotated[SecretStr, AfterValidator(check_smtp_url)] | None = Field(
        None,
        description="smtp://user:pass@host:587 (STARTTLS) or smtps://host:465. Percent-encode what "
        "is special in a password. Default: mails are written to the log.",
    )
    SMTP_TIMEOUT_SECONDS: float = Field(
        10.0, ge=0.1, le=60, description="Longest delivery of a mail."
    )
    MAIL_FROM: Annotated[str, AfterValidator(check_mail_from)] = Field(
        "no-reply@example.com", description="Sender of mails: a bare address."
    )
    MAIL_MAX_PENDING: int = Field(
        100, ge=1, le=10_000, description="Mails that may wait in a process; one more is dropped."
    )
    PUBLIC_URL: Annotated[str, AfterValidator(check_public_url)] = Field(
        "http://127.0.0.1:8000", description="Where links in mails lead to; docs/auth.md."
    )

    # --- Passwords
    PASSWORD_MIN_LENGTH: int = Field(8, ge=8, le=64, description="Shortest password, characters.")
    PASSWORD_MAX_LENGTH: int = Field(
        256, ge=64, le=1024, description="Longest password, characters; refused before hashing."
    )
    PASSWORD_REFUSE_COMMON: bool = Field(
        default=True,
        description="Refuse passwords that attackers try first. Must stay on in production.",
    )
    ARGON2_MEMORY_KIB: int = Field(19_456, ge=8, le=2_097_152, description="Argon2id memory.")
    ARGON2_TIME_COST: int = Field(2, ge=1, le=100, description="Argon2id passes.")
    ARGON2_PARALLELISM: int = Field(1, ge=1, le=64, description="Argon2id lanes.")
    PASSWORD_HASH_THREADS: int = Field(
        1, ge=1, le=32, description="Threads that hash, outside the event loop."
    )
    PASSWORD_HASH_QUEUE: int = Field(
        64, ge=1, le=10_000, description="Hashes that may wait; one more is answered with 503."
    )

    # --- Writes
    REQUIRE_IF_MATCH: bool = Field(
        default=False,
        description="Answer PATCH and DELETE of versioned objects with 428 unless If-Match is "
        "sent, so that nobody overwrites what they have not seen.",
    )
    IDEMPOTENCY_KEY_EXPIRE_HOURS: int = Field(
        24, ge=1, le=720, description="A repeated request is answered as the first for so long."
    )

    # --- Limits
    RATE_LIMIT_ENABLED: bool = Field(default=True, description="Must stay on in production.")
    REDIS_URL: SecretStr | None = Field(
        None,
        description="redis://host:6379/0, or rediss:// for TLS: counters shared by all workers and "
        "replicas; docs/database.md.",
    )
    RATE_LIMIT_FAIL_OPEN: bool = Field(
        default=False,
        description="Without the shared counters, each process counts logins alone; or 503.",
    )
    API_RATE_LIMIT: str = Field(
        "1200/minute",
        description="Requests of one user; without a good token, or on a route without a caller, "
        "of one address.",
    )
    AUTH_RATE_LIMIT_ACCOUNT: str = Field(
        "5/15 minutes", description="Failed logins for one account from one address."
    )
    AUTH_RATE_LIMIT_ADDRESS: str = Field(
        "50/15 minutes", description="Login and registration attempts from one address."
    )
    REFRESH_RATE_LIMIT_SESSION: str = Field(
        "60/15 minutes", description="Refreshes of one session from one address."
    )
    REFRESH_RATE_LIMIT_ADDRESS: str = Field(
        "600/15 minutes", description="Refreshes from one address, where many may be behind it."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return customized_sources(
            settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        )

    @field_validator(
        "TRUSTED_PROXIES",
        "CORS_ORIGINS",
        "CORS_ALLOWED_HEADERS",
        "CORS_EXPOSED_HEADERS",
        "ALLOWED_HOSTS",
        "SECRET_KEY_PREVIOUS",
        "JWT_SECRET_KEY_PREVIOUS",
        mode="before",
    )
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.startswith(('["', "['", "[]")):
            raise ValueError("needs values separated by commas, without brackets and quotes")
        return [text for part in value.split(",") if (text := stripped(part))]

    @field_validator("TRUSTED_PROXIES")
    @classmethod
    def _check_proxies(cls, value: list[str]) -> list[str]:
        return [check_proxy(proxy) for proxy in value]

    @field_validator("ALLOWED_HOSTS")
    @classmethod
    def _check_hosts(cls, value: list[str]) -> list[str]:
        return [check_host_pattern(host) for host in value]

    @field_validator("CORS_ORIGINS")
    @classmethod
    def _spell_origins(cls, value: list[str]) -> list[str]:
        # As browsers write them. `config_rules` refuses what is no origin.
        return [canonical_origin(origin) or origin for origin in value]

    @field_validator("CORS_ALLOWED_HEADERS", "CORS_EXPOSED_HEADERS")
    @classmethod
    def _check_headers(cls, value: list[str]) -> list[str]:
        return [check_header_name(name) for name in value]

    @field_validator("LOG_LEVEL", mode="before")
    @classmethod
    def _upper_level(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("JWT_SECRET_KEY")
    @classmethod
    def _require_with_hs256(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and info.data.get("JWT_ALGORITHM") is SigningAlgorithm.HS256:
            raise PydanticCustomError("missing", "Field required")
        return value

    @field_validator("DATABASE_URL", "DATABASE_REPLICA_URL")
    @classmethod
    def _read_database_url(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        writes = info.field_name == "DATABASE_URL"
        url = read_database_url(value, root=PROJECT_ROOT, writes=writes, governed=GOVERNED)
        return text_of(url)

    @field_validator("REDIS_URL")
    @classmethod
    def _read_redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else SecretStr(read_redis_url(value.get_secret_value()))

    @field_validator(
        "API_RATE_LIMIT",
        "AUTH_RATE_LIMIT_ACCOUNT",
        "AUTH_RATE_LIMIT_ADDRESS",
        "REFRESH_RATE_LIMIT_SESSION",
        "REFRESH_RATE_LIMIT_ADDRESS",
    )
    @classmethod
    def _check_limit(cls, value: str) -> str:
        return check_limit(value)

    # Last, so that it comes first: no other validator meets what could not be read.
    @field_validator("*", mode="before")
    @classmethod
    def _refuse_unreadable(cls, value: Any) -> Any:
        return refuse_unreadable(value)

    @model_validator(mode="after")
    def _refuse_what_does_not_hold(self) -> Self:
        by_environment = production_faults if self.is_production else development_faults
        faults = signing_key_faults(self) + pooler_faults(self) + by_environment(self)
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @property
    def database_url(self) -> URL:
        return make_url(self.DATABASE_URL)

    @property
    def jwt_secrets(self) -> list[SecretStr]:
        """The keys of HS256, the newest first. Empty with another algorithm."""
        if self.JWT_SECRET_KEY is None or self.JWT_ALGORITHM is not SigningAlgorithm.HS256:
            return []
        return [self.JWT_SECRET_KEY, *self.JWT_SECRET_KEY_PREVIOUS]

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.get_backend_name() == "sqlite"

    @property
    def is_production(self) -> bool:
        return self.ENVIRONMENT is Environment.PRODUCTION

    @property
    def drain_seconds(self) -> int:
        if self.DRAIN_SECONDS is not None:
            return self.DRAIN_SECONDS
        return PRODUCTION_DRAIN_SECONDS if self.is_production else 0

    @property
    def public_url(self) -> str:
        """PUBLIC_URL, whose default follows the path prefix; one that is set is complete."""
        is_set = "PUBLIC_URL" in self.model_fields_set
        return self.PUBLIC_URL if is_set else f"{self.PUBLIC_URL}{self.ROOT_PATH}"

    @property
    def refresh_token_in_cookie(self) -> bool:
        return self.REFRESH_TOKEN_TRANSPORT is RefreshTokenTransport.COOKIE

    @property
    def closing_time(self) -> timedelta:
        """How long mails and connections may take to end, after the last request."""
        return min(MAX_CLOSING_TIME, timedelta(seconds=self.SHUTDOWN_TIMEOUT_SECONDS) / 4)

    @property
    def request_grace(self) -> timedelta:
        """How long requests in flight may take to end."""
        return timedelta(seconds=self.SHUTDOWN_TIMEOUT_SECONDS) - self.closing_time

    @property
    def access_token_lifetime(self) -> timedelta:
        return timedelta(minutes=self.JWT_ACCESS_TOKEN_EXPIRE_MINUTES)

    @property
    def recent_authentication(self) -> timedelta:
        return timedelta(minutes=self.RECENT_AUTHENTICATION_MINUTES)

    @property
    def registration_link_lifetime(self) -> timedelta:
        return timedelta(minutes=self.REGISTRATION_LINK_EXPIRE_MINUTES)

    @property
    def idempotency_key_lifetime(self) -> timedelta:
        return timedelta(hours=self.IDEMPOTENCY_KEY_EXPIRE_HOURS)

    @property
    def smtp_timeout(self) -> timedelta:
        return timedelta(seconds=self.SMTP_TIMEOUT_SECONDS)

    @property
    def refresh_token_lifetime(self) -> timedelta:
        return timedelta(days=self.JWT_REFRESH_TOKEN_EXPIRE_DAYS)

    @property
    def refresh_token_idle_lifetime(self) -> timedelta:
        return timedelta(days=self.REFRESH_TOKEN_IDLE_DAYS)

    @property
    def refresh_token_reuse_interval(self) -> timedelta:
        return timedelta(seconds=self.REFRESH_TOKEN_REUSE_INTERVAL_SECONDS)


@lru_cache
def get_settings() -> Settings:
    """The process's settings. Ends the process with one line a fault when they are unusable."""
    env_file = os.environ.get("ENV_FILE", str(PROJECT_ROOT / ".env"))
    try:
        return Settings(_env_file=env_file)
    except ValidationError as error:
        faults = fault_lines(error)
    except UnicodeDecodeError:
        faults = [f"{env_file} is not UTF-8 text."]
    except OSError as error:
        faults = [f"cannot read {error.filename}: {error.strerror}."]
    sys.exit("\n".join(f"Configuration error: {fault}" for fault in faults))
