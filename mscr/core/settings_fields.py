"""Every setting of the kit, read from the environment, `.env` and secret files.

Precedence: environment variable, then `.env`, then a file of systemd's credentials directory, then
one of `/run/secrets`, then the default. NAME_FILE, beside NAME in the environment or in `.env`,
holds the path of a file with the value. `settings_sources` reads them all.
`python cli.py env-example --write` generates `.env.example` from this module and from the
application's own class.
"""

from enum import Enum as PyEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy.engine import URL, make_url

from mscr.connections.pooler import Pooler
from mscr.connections.urls.database import read_database_url, text_of
from mscr.connections.urls.redis import read_redis_url
from mscr.core.hosts import canonical_origin, check_host_pattern
from mscr.core.mail_values import check_mail_from, check_public_url, check_smtp_url
from mscr.core.notices import Notice, read_notices
from mscr.core.security.signing_algorithm import SigningAlgorithm
from mscr.core.setting_values import (
    MIN_SECRET_LENGTH,
    check_header_name,
    check_limit,
    check_path_prefix,
    check_proxy,
)
from mscr.core.settings_sources import customized_sources, refuse_unreadable, stripped

SECRETS_DIR = Path("/run/secrets")

# Options refused in a database URL because a setting governs them, each with its remedy.
GOVERNED: Final = {
    **dict.fromkeys(
        ("statement_timeout", "command_timeout", "socket_timeout"),
        "set DATABASE_STATEMENT_TIMEOUT_SECONDS",
    ),
    **dict.fromkeys(("lock_timeout", "timeout"), "set DATABASE_LOCK_TIMEOUT_SECONDS"),
    **dict.fromkeys(("pool_size", "max_overflow", "connection_limit"), "set DATABASE_POOL_SIZE"),
    "pool_timeout": "set DATABASE_POOL_TIMEOUT_SECONDS",
    "idle_in_transaction_session_timeout": "set DATABASE_IDLE_TRANSACTION_TIMEOUT_SECONDS",
    "default_transaction_read_only": "remove it: reading sessions are already read-only",
}

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


class SettingsFields(BaseSettings):
    """The settings, typed and bounded, each validated on its own."""

    # Base of relative paths of SQLite files. The application's class sets it.
    root: ClassVar[Path]
    # The folder of the templates of mails. By default, `mail/` in `root`.
    mail_templates: ClassVar[Path | None] = None

    model_config = SettingsConfigDict(
        extra="ignore",
        env_ignore_empty=True,
        # "nan" is a float. Without this, the first bound would refuse it with a misleading message.
        allow_inf_nan=False,
        # Skips a byte order mark, which would become part of the first name.
        env_file_encoding="utf-8-sig",
        hide_input_in_errors=True,
        secrets_dir=SECRETS_DIR if SECRETS_DIR.is_dir() else None,
    )

    # --- Application
    ENVIRONMENT: Environment = Field(
        default=Environment.DEVELOPMENT,
        description="Kind of deployment: development, test or production.",
    )
    DEBUG: bool = Field(
        default=False, description="Verbose logs and SQL echo. Refused in production."
    )
    APP_NAME: str = Field(
        default="FastAPI Backend",
        max_length=80,
        description="Name of the application, shown in the API docs and in mails.",
    )
    LOG_LEVEL: Annotated[str, Field(pattern=r"^(DEBUG|INFO|WARNING|ERROR|CRITICAL)$")] = Field(
        default="INFO", description="Lowest level that is logged."
    )
    LOG_JSON: bool | None = Field(
        default=None,
        description="Log one JSON object per line. Default: in production only.",
    )
    ACCESS_LOG: bool = Field(default=True, description="Log one line for each request.")
    DOCS_ENABLED: bool = Field(
        default=True,
        description="Serve /docs, /redoc and /openapi.json, and outside of production /docs/mails.",
    )
    DOCS_PATH_PREFIX: Annotated[str, AfterValidator(check_path_prefix)] = Field(
        default="",
        description="Path prefix of /docs, /redoc and /openapi.json, for example /internal. "
        "The application's own routes take precedence.",
    )

    # --- Server (read by `python cli.py serve`)
    HOST: str = Field(
        default="127.0.0.1",
        description="Address to listen on: 0.0.0.0 for every IPv4 address, :: for IPv4 and IPv6.",
    )
    PORT: int = Field(default=8000, ge=0, le=65535, description="Port to listen on.")
    WEB_CONCURRENCY: int = Field(default=1, ge=1, le=64, description="Worker processes.")
    TRUSTED_PROXIES: CommaSeparated = Field(
        default=[],
        description="Addresses or networks of the proxies whose X-Forwarded-For and "
        "X-Forwarded-Proto are trusted, or unix for a unix socket. Empty: none. See "
        "docs/running.md.",
    )
    ROOT_PATH: Annotated[str, AfterValidator(check_path_prefix)] = Field(
        default="",
        description="Path prefix under which a proxy serves the application, for example /svc. See "
        "docs/running.md.",
    )
    CORS_ORIGINS: CommaSeparated = Field(
        default=[],
        description="Origins from which browsers may call the API, matched exactly, "
        "comma-separated.",
    )
    CORS_ALLOWED_HEADERS: CommaSeparated = Field(
        default=[],
        description="Additional request headers that pages of CORS_ORIGINS may send, for example "
        "X-Client-Version.",
    )
    CORS_EXPOSED_HEADERS: CommaSeparated = Field(
        default=[],
        description="Additional response headers that pages of CORS_ORIGINS may read.",
    )
    ALLOWED_HOSTS: CommaSeparated = Field(
        default=[],
        description="Host names to serve, on any port, for example api.example.com or "
        "*.example.com. Empty: any. Health checks are served for any host.",
    )
    MAX_BODY_BYTES: int = Field(
        default=1_048_576, ge=1024, le=104_857_600, description="Largest request body, in bytes."
    )
    MAX_CONNECTIONS: int = Field(
        default=1000,
        ge=10,
        le=100_000,
        description="Maximum number of open connections of one worker. Further ones get 503.",
    )
    HTTP_HEADER_TIMEOUT_SECONDS: int = Field(
        default=20,
        ge=1,
        le=300,
        description="Deadline for a request's headers to arrive; then 408.",
    )
    HTTP_BODY_TIMEOUT_SECONDS: int = Field(
        default=30,
        ge=1,
        le=600,
        description="Length of the periods in each of which a request body must arrive at 128 "
        "bytes a second or faster; otherwise 408.",
    )
    KEEP_ALIVE_SECONDS: int = Field(
        default=75,
        ge=1,
        le=4000,
        description="Idle time after which a client's connection is closed. It must exceed the "
        "idle timeout of the proxy in front: 60 for nginx and AWS, 600 for Google Cloud.",
    )
    DRAIN_SECONDS: int | None = Field(
        default=None,
        ge=0,
        le=300,
        description="Time after SIGTERM during which requests are served as usual while readiness "
        "fails, so that load balancers stop sending new ones. Default: 5 in production, otherwise "
        "0.",
    )
    SHUTDOWN_TIMEOUT_SECONDS: int = Field(
        default=20,
        ge=1,
        le=300,
        description="Time to stop after the drain: first for requests in flight; the last quarter, "
        "at most 5 s, for pending mails and connections.",
    )

    # --- Secrets (at least 32 characters, all different; `make run` writes them into .env)
    SECRET_KEY: Secret = Field(
        description="Root key of refresh tokens, cursors and encrypted fields."
    )
    SECRET_KEY_PREVIOUS: SecretList = Field(
        default=[], description="Previous SECRET_KEYs that are still accepted, comma-separated."
    )
    JWT_ALGORITHM: SigningAlgorithm = Field(
        default=SigningAlgorithm.HS256,
        description="Algorithm that signs access tokens: HS256, EdDSA or RS256. Tokens with any "
        "other are refused.",
    )
    JWT_SECRET_KEY: Secret | None = Field(
        default=None,
        validate_default=True,
        description="Key that signs access tokens with HS256. Required for HS256, and not used "
        "with the other algorithms.",
    )
    JWT_SECRET_KEY_PREVIOUS: SecretList = Field(
        default=[],
        description="Previous JWT_SECRET_KEYs that are still accepted, comma-separated.",
    )
    JWT_PRIVATE_KEY: SecretStr | None = Field(
        default=None,
        description="Private key that signs access tokens with EdDSA or RS256: PEM on one line, "
        r"with \n for its line breaks. `python cli.py generate-keys --algorithm EdDSA` makes one.",
    )
    JWT_PUBLIC_KEYS: str = Field(
        default="",
        description="Additional public keys to accept and publish, for a key rotation: the "
        r"previous and the next one. PEM blocks one after another, with \n for their line breaks.",
    )

    # --- Database
    # Plain text, as SQLAlchemy requires. Hidden from repr because it contains a password.
    DATABASE_URL: str = Field(
        default="sqlite+aiosqlite:///./app.db",
        validate_default=True,
        repr=False,
        description="postgresql://user:pass@host:5432/name, with the libpq options that your "
        "provider shows, or sqlite+aiosqlite:///path. See docs/database.md.",
    )
    DATABASE_REPLICA_URL: str | None = Field(
        default=None,
        repr=False,
        description="URL of a read replica, for lists and other reads. Default: DATABASE_URL. See "
        "docs/database.md.",
    )
    DATABASE_POOLER: Pooler = Field(
        default=Pooler.NONE,
        description="Pool mode of a pooler in front of PostgreSQL, such as PgBouncer: session, "
        "transaction, or none if there is no pooler. See docs/database.md.",
    )
    DATABASE_POOL_SIZE: int = Field(
        default=10,
        ge=1,
        le=500,
        description="Connections that each worker keeps for writing, and as many for reading. A "
        "single caller gets at most four fifths of them.",
    )
    DATABASE_POOL_TIMEOUT_SECONDS: float = Field(
        default=3.0,
        ge=0.1,
        le=30,
        description="Longest wait for a free connection of the pool; then 503.",
    )
    DATABASE_CONNECT_TIMEOUT_SECONDS: float = Field(
        default=3.0, ge=0.5, le=30, description="Longest wait for a new connection to PostgreSQL."
    )
    DATABASE_STATEMENT_TIMEOUT_SECONDS: float = Field(
        default=10.0, ge=0.1, le=600, description="Longest run time of a statement on PostgreSQL."
    )
    DATABASE_LOCK_TIMEOUT_SECONDS: float = Field(
        default=5.0, ge=0.1, le=600, description="Longest wait for a lock, also on SQLite."
    )
    DATABASE_IDLE_TRANSACTION_TIMEOUT_SECONDS: float = Field(
        default=15.0,
        ge=1,
        le=600,
        description="Longest idle time inside a transaction on PostgreSQL.",
    )
    DATABASE_MIGRATION_LOCK_TIMEOUT_SECONDS: float = Field(
        default=300.0,
        ge=0.1,
        le=86_400,
        description="Longest wait for another process to finish its migration (on SQLite, its "
        "write).",
    )

    DATABASE_IDLE_CHECK_SECONDS: float = Field(
        default=1.0,
        ge=0,
        le=3600,
        description="Idle time after which a connection to PostgreSQL is checked before use, and "
        "replaced if a firewall has dropped it.",
    )
    DATABASE_POOL_RECYCLE_SECONDS: int = Field(
        default=1800,
        ge=1,
        le=86_400,
        description="Age at which a connection is replaced before its next use.",
    )
    TCP_KEEPALIVE_SECONDS: int = Field(
        default=30,
        ge=1,
        le=7200,
        description="Idle time after which a connection to PostgreSQL or Redis sends a probe, so "
        "that firewalls keep it open.",
    )

    # --- Retention
    CLEANUP_SCHEDULED: bool = Field(
        default=True,
        description="Whether rows that are older than the following, and expired idempotency keys, "
        "are deleted at 03:00 UTC. If not, run the commands of docs/jobs.md#clean-ups.",
    )
    DELETED_RETENTION_DAYS: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="Shortest time for which deleted rows can be restored. `python cli.py "
        "purge-deleted` removes older ones.",
    )
    SESSION_RETENTION_DAYS: int = Field(
        default=30,
        ge=0,
        le=36_500,
        description="Days for which ended sessions and expired links are kept.",
    )
    AUDIT_RETENTION_DAYS: int = Field(
        default=365, ge=1, le=36_500, description="Days for which events of the audit log are kept."
    )
    DEAD_JOB_RETENTION_DAYS: int = Field(
        default=30, ge=0, le=36_500, description="Days for which dead jobs are kept."
    )

    # --- Tokens
    JWT_ACCESS_TOKEN_EXPIRE_MINUTES: int = Field(
        default=15, ge=1, le=1440, description="Lifetime of an access token."
    )
    JWT_REFRESH_TOKEN_EXPIRE_DAYS: int = Field(
        default=30, ge=1, le=365, description="Absolute lifetime of a session, refreshed or not."
    )
    REFRESH_TOKEN_IDLE_DAYS: int = Field(
        default=14,
        ge=1,
        le=365,
        description="Idle lifetime of a session. A session that is not refreshed for this long "
        "ends.",
    )
    REFRESH_TOKEN_REUSE_INTERVAL_SECONDS: int = Field(
        default=10,
        ge=0,
        le=60,
        description="Time after a refresh during which the previous refresh token returns the same "
        "successor again. A lost response or a second tab then does not end the session, but a "
        "thief can replay the token for as long. 0: every reuse ends the session, so clients must "
        "refresh one at a time. 60: for clients on poor networks. See docs/auth.md#rotation.",
    )
    REFRESH_TOKEN_TRANSPORT: RefreshTokenTransport = Field(
        default=RefreshTokenTransport.BODY,
        description="Where clients get the refresh token: body, or cookie for browsers, whose "
        "scripts must not read it.",
    )
    MAX_SESSIONS_PER_USER: int = Field(
        default=20,
        ge=1,
        le=1000,
        description="Maximum number of sessions of one user. A further login ends the least "
        "recently used session.",
    )
    RECENT_AUTHENTICATION_MINUTES: int = Field(
        default=15,
        ge=1,
        le=1440,
        description="Time after which sensitive changes require the password again.",
    )
    JWT_ISSUER: str = Field(
        default="fastapi-backend", min_length=1, description="Claim iss of access tokens."
    )
    JWT_AUDIENCE: str = Field(
        default="fastapi-backend", min_length=1, description="Claim aud of access tokens."
    )
    JWT_LEEWAY_SECONDS: int = Field(
        default=5, ge=0, le=60, description="Clock skew tolerated in access tokens."
    )

    # --- Registration
    REGISTRATION_BY_MAIL: bool = Field(
        default=False,
        description="Answer every registration with 202 and create the account by a mailed link. "
        "This prevents account enumeration.",
    )
    REGISTRATION_LINK_EXPIRE_MINUTES: int = Field(
        default=60, ge=1, le=1440, description="Lifetime of the registration link."
    )
    # An hour at most: a link in an old mail, or in a backup of a mailbox, would open the account.
    RESET_LINK_EXPIRE_MINUTES: int = Field(
        default=30, ge=1, le=60, description="Lifetime of the link that resets a password."
    )
    VERIFICATION_LINK_EXPIRE_HOURS: int = Field(
        default=24, ge=1, le=168, description="Lifetime of the link that verifies an address."
    )

    # --- Mail
    SMTP_URL: Annotated[SecretStr, AfterValidator(check_smtp_url)] | None = Field(
        default=None,
        description="smtp://user:pass@host:587 (STARTTLS) or smtps://host:465. Percent-encode "
        "special characters of the password. Default: development writes mails to the log.",
    )
    MAIL_FOLDER: Path | None = Field(
        default=None,
        description="Write mails to files (.eml) in this folder, and send none. For development; "
        "refused in production.",
    )
    SMTP_TIMEOUT_SECONDS: float = Field(
        default=10.0, ge=0.1, le=60, description="Longest time for the delivery of one mail."
    )
    MAIL_FROM: Annotated[str, AfterValidator(check_mail_from)] = Field(
        default="no-reply@example.com",
        description="Sender address of mails, without a display name.",
    )
    PUBLIC_URL: Annotated[str, AfterValidator(check_public_url)] = Field(
        default="http://127.0.0.1:8000", description="Base URL of links in mails. See docs/auth.md."
    )
    NOTICES: Annotated[list[Notice], NoDecode] = Field(
        default=[*Notice],
        description="Events of which the owner of an account is notified by mail, comma-separated; "
        "[] for none. In production without SMTP_URL, there are no notices. See docs/auth.md.",
    )

    # --- Jobs
    JOBS_IN_PROCESS: bool = Field(
        default=True,
        description="Whether processes that serve requests also run jobs. If not, run "
        "`python cli.py worker`.",
    )
    JOBS_MAX_RUNNING: int = Field(
        default=4, ge=1, le=1000, description="Jobs that one process runs concurrently."
    )
    JOBS_POLL_SECONDS: float = Field(
        default=5.0,
        ge=0.1,
        le=3600,
        description="How often a process looks for jobs of other processes, and for retries.",
    )
    JOBS_ENGINE_URL: SecretStr | None = Field(
        default=None,
        description="redis://host:6379/0, or rediss:// for TLS: hand jobs over to workers of other "
        "machines at once. It needs the package taskiq-redis. See docs/jobs.md#several-machines.",
    )

    # --- Passwords
    PASSWORD_MIN_LENGTH: int = Field(
        default=8, ge=8, le=64, description="Shortest password, in characters."
    )
    PASSWORD_MAX_LENGTH: int = Field(
        default=256,
        ge=64,
        le=1024,
        description="Longest password, in characters. Longer ones are refused before hashing.",
    )
    PASSWORD_REFUSE_COMMON: bool = Field(
        default=True,
        description="Refuse common passwords, which attackers try first. Must stay on in "
        "production.",
    )
    ARGON2_MEMORY_KIB: int = Field(
        default=19_456, ge=8, le=2_097_152, description="Memory of one Argon2id hash, in KiB."
    )
    ARGON2_TIME_COST: int = Field(
        default=2, ge=1, le=100, description="Passes of Argon2id over the memory."
    )
    ARGON2_PARALLELISM: int = Field(default=1, ge=1, le=64, description="Lanes of Argon2id.")
    PASSWORD_HASH_THREADS: int = Field(
        default=1,
        ge=1,
        le=32,
        description="Threads of each worker that hash passwords, outside the event loop.",
    )
    PASSWORD_HASH_QUEUE: int = Field(
        default=64,
        ge=1,
        le=10_000,
        description="Maximum number of password hashes that wait for a thread. Further ones get "
        "503.",
    )

    # --- Writes
    REQUIRE_IF_MATCH: bool = Field(
        default=False,
        description="Require If-Match on PATCH and DELETE of versioned objects, and answer 428 "
        "without it. This prevents lost updates.",
    )
    IDEMPOTENCY_KEY_EXPIRE_HOURS: int = Field(
        default=24,
        ge=1,
        le=720,
        description="Time for which a request with the same Idempotency-Key gets the first "
        "response again.",
    )

    # --- Limits
    RATE_LIMIT_ENABLED: bool = Field(
        default=True, description="Enforce the limits below. Must stay on in production."
    )
    REDIS_URL: SecretStr | None = Field(
        default=None,
        description="redis://host:6379/0, or rediss:// for TLS. The store of the counters that all "
        "workers share. See docs/database.md.",
    )
    RATE_LIMIT_FAIL_OPEN: bool = Field(
        default=False,
        description="While Redis is unavailable, let each process count attempts to log in and "
        "register on its own. false: answer them with 503.",
    )
    API_RATE_LIMIT: str = Field(
        default="1200/minute",
        description="Requests of one user. Without a valid token, or on a route without a caller: "
        "requests from one address.",
    )
    AUTH_RATE_LIMIT_ACCOUNT: str = Field(
        default="5/15 minutes", description="Failed logins to one account from one address."
    )
    AUTH_RATE_LIMIT_ADDRESS: str = Field(
        default="50/15 minutes", description="Login and registration attempts from one address."
    )
    REFRESH_RATE_LIMIT_SESSION: str = Field(
        default="60/15 minutes", description="Refreshes of one session from one address."
    )
    REFRESH_RATE_LIMIT_ADDRESS: str = Field(
        default="600/15 minutes",
        description="Refreshes from one address, which many users may share.",
    )

    @classmethod
    def from_env_file(cls, path: Path | str | None, **values: Any) -> Self:
        """Read the settings with `path` instead of `.env`, or without a file if it is None.

        Type checkers that follow PEP 681 reject `_env_file=` in a call of the class: it is no
        field.
        """
        options: dict[str, Any] = {"_env_file": path}
        return cls(**options, **values)

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
            raise ValueError("needs values separated by commas, without brackets or quotes")
        return [text for part in value.split(",") if (text := stripped(part))]

    @field_validator("NOTICES", mode="before")
    @classmethod
    def _read_notices(cls, value: Any) -> Any:
        # Empty is not set, so "none" needs a word of its own.
        none = isinstance(value, str) and value.strip() == "[]"
        return [] if none else read_notices(cls._split_commas(value))

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
        # As browsers write them. `config_rules` refuses values that are not origins.
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
        url = read_database_url(value, root=cls.root, writes=writes, governed=GOVERNED)
        return text_of(url)

    @field_validator("REDIS_URL", "JOBS_ENGINE_URL")
    @classmethod
    def _read_redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else SecretStr(read_redis_url(value.get_secret_value()))

    @field_validator("JOBS_ENGINE_URL")
    @classmethod
    def _require_engine(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and find_spec("taskiq_redis") is None:
            raise ValueError("install its engine: pip install taskiq-redis")
        return value

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

    # Pydantic runs "before" validators in reverse order: declared last, this one runs first, so
    # that no other validator gets the marker of an unreadable file.
    @field_validator("*", mode="before")
    @classmethod
    def _refuse_unreadable(cls, value: Any) -> Any:
        return refuse_unreadable(value)

    @property
    def database_url(self) -> URL:
        return make_url(self.DATABASE_URL)

    @property
    def jwt_secrets(self) -> list[SecretStr]:
        """The keys of HS256, newest first. Empty with another algorithm."""
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
    def refresh_token_in_cookie(self) -> bool:
        return self.REFRESH_TOKEN_TRANSPORT is RefreshTokenTransport.COOKIE
