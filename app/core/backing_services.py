"""The services that the application depends on, as its diagnoses name them."""

from dataclasses import replace
from typing import Final

from app.core.diagnosis import Diagnosis, Service, diagnose

DATABASE: Final = Service(
    name="PostgreSQL",
    setting="DATABASE_URL",
    authority="name its authority's file: sslrootcert in DATABASE_URL",
    tls="set sslmode in DATABASE_URL as the server wants it",
    migrate="bring it up: python cli.py init-db",
    pool="see what holds them (slow statements, locks), or raise DATABASE_POOL_SIZE",
)
REPLICA: Final = replace(
    DATABASE,
    setting="DATABASE_REPLICA_URL",
    authority="name its authority's file: sslrootcert in DATABASE_REPLICA_URL",
    tls="set sslmode in DATABASE_REPLICA_URL as the server wants it",
)
STORE: Final = Service(
    name="Redis",
    setting="REDIS_URL",
    authority="name its authority's file: ssl_ca_certs in REDIS_URL",
    tls="rediss:// in REDIS_URL is with TLS, redis:// is without",
)
MAIL: Final = Service(
    name="the mail server",
    setting="SMTP_URL",
    authority="have this machine trust its authority",
    tls="smtp:// in SMTP_URL is with STARTTLS, smtps:// with TLS from the start",
)


def log_fields(error: BaseException, service: Service) -> dict[str, str]:
    """Return the cause and the remedy for the log; without a diagnosis, the error's class."""
    found: Diagnosis | None = diagnose(error, service)
    if found is None:
        return {"reason": type(error).__name__}
    return {"reason": found.cause, "remedy": found.remedy}
