"""The settings class that applications inherit, with rules across settings, and its reader."""

import sys
from datetime import timedelta
from typing import Final, Self, TypeVar

from pydantic import ValidationError, model_validator

from mscr.core.config_rules import (
    development_faults,
    fault_lines,
    pooler_faults,
    production_faults,
    signing_key_faults,
)
from mscr.core.settings_fields import SettingsFields

# A higher bound would shorten the time of requests in flight.
MAX_CLOSING_TIME: Final = timedelta(seconds=5)
# Two or three checks of a load balancer.
PRODUCTION_DRAIN_SECONDS: Final = 5

SettingsT = TypeVar("SettingsT", bound="Settings")


class Settings(SettingsFields):
    """The settings of the kit. Production adds the rules of `config_rules`."""

    @model_validator(mode="after")
    def _refuse_what_does_not_hold(self) -> Self:
        by_environment = production_faults if self.is_production else development_faults
        faults = signing_key_faults(self) + pooler_faults(self) + by_environment(self)
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @property
    def drain_seconds(self) -> int:
        if self.DRAIN_SECONDS is not None:
            return self.DRAIN_SECONDS
        return PRODUCTION_DRAIN_SECONDS if self.is_production else 0

    @property
    def public_url(self) -> str:
        """PUBLIC_URL. ROOT_PATH is appended to the default only, not to a configured value."""
        is_set = "PUBLIC_URL" in self.model_fields_set
        return self.PUBLIC_URL if is_set else f"{self.PUBLIC_URL}{self.ROOT_PATH}"

    @property
    def closing_time(self) -> timedelta:
        """Time for running jobs and connections to close, after the last request."""
        return min(MAX_CLOSING_TIME, timedelta(seconds=self.SHUTDOWN_TIMEOUT_SECONDS) / 4)

    @property
    def request_grace(self) -> timedelta:
        """Time for requests in flight to finish."""
        return timedelta(seconds=self.SHUTDOWN_TIMEOUT_SECONDS) - self.closing_time

    @property
    def access_token_lifetime(self) -> timedelta:
        return timedelta(minutes=self.JWT_ACCESS_TOKEN_EXPIRE_MINUTES)

    @property
    def sends_mail(self) -> bool:
        """Whether a mail would reach anybody: without SMTP_URL, development logs it."""
        return self.SMTP_URL is not None or not self.is_production

    @property
    def recent_authentication(self) -> timedelta:
        return timedelta(minutes=self.RECENT_AUTHENTICATION_MINUTES)

    @property
    def registration_link_lifetime(self) -> timedelta:
        return timedelta(minutes=self.REGISTRATION_LINK_EXPIRE_MINUTES)

    @property
    def reset_link_lifetime(self) -> timedelta:
        return timedelta(minutes=self.RESET_LINK_EXPIRE_MINUTES)

    @property
    def verification_link_lifetime(self) -> timedelta:
        return timedelta(hours=self.VERIFICATION_LINK_EXPIRE_HOURS)

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


def read_settings(settings: type[SettingsT], env_file: str) -> SettingsT:
    """Read the settings. Exit the process with one line per fault if they are invalid."""
    try:
        return settings.from_env_file(env_file)
    except ValidationError as error:
        faults = fault_lines(error)
    except UnicodeDecodeError:
        faults = [f"{env_file} is not UTF-8 text."]
    except OSError as error:
        faults = [f"cannot read {error.filename}: {error.strerror}."]
    sys.exit("\n".join(f"Configuration error: {fault}" for fault in faults))
