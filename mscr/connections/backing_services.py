"""The backing services (database, replica, Redis, mail), with the texts of their remedies."""

from dataclasses import replace
from typing import Final

from mscr.connections.diagnosis import Diagnosis, Service, diagnose

DATABASE: Final = Service(
    name="PostgreSQL",
    setting="DATABASE_URL",
    authority="name the file of its authority: sslrootcert in DATABASE_URL",
    tls="set sslmode in DATABASE_URL as the server requires",
    migrate="upgrade it: python cli.py init-db",
    pool="find out what holds them (slow statements, locks), or raise DATABASE_POOL_SIZE",
)
REPLICA: Final = replace(
    DATABASE,
    setting="DATABASE_REPLICA_URL",
    authority="name the file of its authority: sslrootcert in DATABASE_REPLICA_URL",
    tls="set sslmode in DATABASE_REPLICA_URL as the server requires",
)
STORE: Final = Service(
    name="Redis",
    setting="REDIS_URL",
    authority="name the file of its authority: ssl_ca_certs in REDIS_URL",
    tls="use rediss:// in REDIS_URL with TLS, redis:// without",
)
ENGINE: Final = replace(
    STORE,
    setting="JOBS_ENGINE_URL",
    authority="name the file of its authority: ssl_ca_certs in JOBS_ENGINE_URL",
    tls="use rediss:// in JOBS_ENGINE_URL with TLS, redis:// without",
)
MAIL: Final = Service(
    name="the mail server",
    setting="SMTP_URL",
    authority="add its authority to the trust store of this machine",
    tls="use smtp:// in SMTP_URL for STARTTLS, smtps:// for TLS from the start",
)


def log_fields(error: BaseException, service: Service) -> dict[str, str]:
    """Return cause and remedy as fields of a log line. Without a diagnosis, the error's class."""
    found: Diagnosis | None = diagnose(error, service)
    if found is None:
        return {"reason": type(error).__name__}
    return {"reason": found.cause, "remedy": found.remedy}
