"""What makes a configuration unsafe in production, and how a database URL is completed."""

from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

if TYPE_CHECKING:
    from app.core.config import Settings

ASYNC_DRIVERS = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}

# OWASP Password Storage Cheat Sheet, Argon2id: m=19456 KiB, t=2, p=1.
OWASP_ARGON2_MEMORY_KIB = 19_456
OWASP_ARGON2_TIME_COST = 2

MIN_DISTINCT_CHARACTERS = 10
# Long enough that a random key does not hold one by chance.
SAMPLE_WORDS = (
    "change",
    "your-",
    "your_",
    "secret",
    "example",
    "sample",
    "password",
    "placeholder",
)


def with_async_driver(value: str) -> str:
    """Complete `postgres://`, `postgresql://` or `sqlite://` with the driver this project ships.

    Raises `ValueError` for a URL that is none of them.
    """
    # Hosting services hand out postgres:// and libpq's sslmode; neither is known to asyncpg.
    try:
        url = make_url(value.replace("postgres://", "postgresql://", 1))
    except ArgumentError:
        raise ValueError("not a database URL") from None
    backend = url.get_backend_name()
    if backend not in ASYNC_DRIVERS:
        raise ValueError("the database must be postgresql+asyncpg:// or sqlite+aiosqlite://")
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        # Reads and writes have a connection each, and each would see a database of its own.
        raise ValueError("SQLite needs a file: sqlite+aiosqlite:///./app.db")
    if "sslmode" in url.query:
        url = url.difference_update_query(["sslmode"]).update_query_dict(
            {"ssl": url.query["sslmode"]}
        )
    return url.set(drivername=ASYNC_DRIVERS[backend]).render_as_string(hide_password=False)


def production_faults(settings: "Settings") -> list[str]:
    """One sentence for each reason not to start in production; no value of a secret in any."""
    return [
        *_secret_faults(settings),
        *_exposure_faults(settings),
        *_scale_faults(settings),
        *_password_faults(settings),
    ]


def _secret_faults(settings: "Settings") -> list[str]:
    secrets = {
        "SECRET_KEY": [settings.SECRET_KEY, *settings.SECRET_KEY_PREVIOUS],
        "JWT_SECRET_KEY": [settings.JWT_SECRET_KEY, *settings.JWT_SECRET_KEY_PREVIOUS],
    }
    faults = [
        f"{name} looks like a sample or has too little variety; generate a random one."
        for name, values in secrets.items()
        if any(_is_weak(value.get_secret_value()) for value in values)
    ]
    shared = {s.get_secret_value() for s in secrets["SECRET_KEY"]} & {
        s.get_secret_value() for s in secrets["JWT_SECRET_KEY"]
    }
    if shared:
        faults.append("SECRET_KEY and JWT_SECRET_KEY must differ, previous ones included.")
    return faults


def _is_weak(secret: str) -> bool:
    lowered = secret.lower()
    too_plain = len(set(secret)) < MIN_DISTINCT_CHARACTERS
    return too_plain or any(word in lowered for word in SAMPLE_WORDS)


def _exposure_faults(settings: "Settings") -> list[str]:
    faults = []
    if settings.DEBUG:
        faults.append("DEBUG must be off in production.")
    if any("*" in origin for origin in settings.CORS_ORIGINS):
        faults.append("CORS_ORIGINS must list exact origins, never *.")
    if "*" in settings.TRUSTED_PROXIES:
        faults.append("TRUSTED_PROXIES must list addresses, never *.")
    if not settings.RATE_LIMIT_ENABLED:
        faults.append("RATE_LIMIT_ENABLED must be on in production.")
    return faults


def _scale_faults(settings: "Settings") -> list[str]:
    if settings.WEB_CONCURRENCY == 1:
        return []
    faults = []
    if settings.is_sqlite:
        faults.append("SQLite serves one worker: set WEB_CONCURRENCY=1 or use PostgreSQL.")
    if settings.REDIS_URL is None:
        faults.append("The rate limiter in memory serves one worker: set REDIS_URL.")
    return faults


def _password_faults(settings: "Settings") -> list[str]:
    weak = (
        settings.ARGON2_MEMORY_KIB < OWASP_ARGON2_MEMORY_KIB
        or settings.ARGON2_TIME_COST < OWASP_ARGON2_TIME_COST
    )
    return ["ARGON2_* must be at least OWASP's m=19456, t=2 in production."] if weak else []
