"""Rules that refuse an unusable or unsafe configuration, with one line per fault."""

import re
from typing import TYPE_CHECKING, Final

from sqlalchemy.engine import make_url

from mscr.connections.pooler import Pooler
from mscr.core.addresses import EVERYBODY, UNIX_SOCKET, parse_network
from mscr.core.hosts import canonical_origin
from mscr.core.security.key_pairs import UnusableKeyError, read_private_key, read_public_keys
from mscr.core.security.signing_algorithm import SigningAlgorithm

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from mscr.core.settings_fields import SettingsFields

# Other origins that a browser may send: `null`, and those of apps, such as capacitor://localhost.
_SENT_ORIGIN: Final = re.compile(r"null|\*|(?!https?:)[a-z][a-z0-9+.-]*://[^/?#@*\s]+")
# Wider networks than the private 10.0.0.0/8 and fc00::/7 contain public addresses.
_WIDEST_NETWORKS: Final = {4: 8, 6: 7}

_CONTRADICTED: Final = {
    Pooler.NONE: {"pgbouncer": "set it to transaction, or to the pooler's pool_mode"},
    Pooler.SESSION: {},
    # Prepared statements belong to a server session, and each transaction gets another one.
    Pooler.TRANSACTION: dict.fromkeys(
        ("statement_cache_size", "prepared_statement_cache_size"), "remove it from the URL"
    ),
}

# OWASP Password Storage Cheat Sheet, Argon2id: m=19456 KiB, t=2, p=1.
OWASP_ARGON2_MEMORY_KIB = 19_456
OWASP_ARGON2_TIME_COST = 2

_NEEDS_ORIGINS: Final = (
    "CORS_ORIGINS must list exact origins, as in https://app.example.com, without a path, a "
    "trailing slash or *."
)

MIN_DISTINCT_CHARACTERS = 10
# Long enough that a random key does not contain one by chance.
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


def fault_lines(error: "ValidationError") -> list[str]:
    """Return one line per fault, with the name of the setting and never its value."""
    lines: list[str] = []
    for fault in error.errors(include_input=False, include_url=False):
        name = str(fault["loc"][0]) if fault["loc"] else ""
        lines += [_named(name, line) for line in _fault_text(fault).splitlines()]
    return lines


def _named(name: str, line: str) -> str:
    if line.startswith(("is not set", "needs at least")):
        return f"{name} {line}"
    return f"{name}: {line}" if name else line


def _fault_text(fault: "ErrorDetails") -> str:
    context = fault.get("ctx", {})
    if fault["type"] == "missing":
        return "is not set. `python cli.py generate-keys` makes one."
    if fault["type"] == "too_short":
        return f"needs at least {context['min_length']} characters."
    if fault["type"] == "string_pattern_mismatch":
        # Settings have no patterns other than lists of words.
        words = context["pattern"].strip("^$()").replace("|", ", ")
        return f"must be one of {words}"
    return fault["msg"].removeprefix("Value error, ")


def signing_key_faults(settings: "SettingsFields") -> list[str]:
    """Return a sentence for each key that does not fit JWT_ALGORITHM, without any part of it."""
    algorithm = settings.JWT_ALGORITHM
    if algorithm is SigningAlgorithm.HS256:
        # Refused, as the operator would believe that these keys sign the tokens.
        names = ("JWT_PRIVATE_KEY", "JWT_PUBLIC_KEYS")
        return [
            f"{name} is set, and JWT_ALGORITHM=HS256 does not use it; remove one of them."
            for name in names
            if getattr(settings, name)
        ]
    if settings.JWT_PRIVATE_KEY is None:
        remedy = f"`python cli.py generate-keys --algorithm {algorithm.value}` makes one."
        return [f"JWT_PRIVATE_KEY is not set, and {algorithm.value} needs it. {remedy}"]
    faults = []
    for name, read, text in (
        ("JWT_PRIVATE_KEY", read_private_key, settings.JWT_PRIVATE_KEY.get_secret_value()),
        ("JWT_PUBLIC_KEYS", read_public_keys, settings.JWT_PUBLIC_KEYS),
    ):
        try:
            read(text, algorithm)
        except UnusableKeyError as error:
            faults.append(f"{name}: {error}.")
    return faults


def pooler_faults(settings: "SettingsFields") -> list[str]:
    """Return a sentence for each option of a URL that contradicts DATABASE_POOLER."""
    urls = {
        "DATABASE_URL": settings.DATABASE_URL,
        "DATABASE_REPLICA_URL": settings.DATABASE_REPLICA_URL,
    }
    contradicted = _CONTRADICTED[settings.DATABASE_POOLER]
    return [
        f"{name} has {option}, and DATABASE_POOLER is {settings.DATABASE_POOLER.value}; {remedy}."
        for name, url in urls.items()
        for option, value in ({} if url is None else make_url(url).query).items()
        if (remedy := contradicted.get(option)) and value not in {"false", "0"}
    ]


def production_faults(settings: "SettingsFields") -> list[str]:
    """Return a sentence for each reason not to start in production, without any secret."""
    return [
        *_secret_faults(settings),
        *_exposure_faults(settings),
        *_scale_faults(settings),
        *_password_faults(settings),
        *_mail_faults(settings),
    ]


def development_faults(settings: "SettingsFields") -> list[str]:
    """Return a sentence for each reason not to start, not even for development."""
    faults = []
    if settings.MAIL_FOLDER is not None and settings.SMTP_URL is not None:
        faults.append("MAIL_FOLDER and SMTP_URL are both set; remove one of them.")
    return faults + _development_origin_faults(settings)


def _development_origin_faults(settings: "SettingsFields") -> list[str]:
    if settings.refresh_token_in_cookie:
        return _origin_faults(settings)
    origins = settings.CORS_ORIGINS
    could_be_sent = all(canonical_origin(each) or _SENT_ORIGIN.fullmatch(each) for each in origins)
    return [] if could_be_sent else [_NEEDS_ORIGINS]


def _secret_faults(settings: "SettingsFields") -> list[str]:
    secrets = {
        "SECRET_KEY": [settings.SECRET_KEY],
        "SECRET_KEY_PREVIOUS": settings.SECRET_KEY_PREVIOUS,
        "JWT_SECRET_KEY": settings.jwt_secrets[:1],
        "JWT_SECRET_KEY_PREVIOUS": settings.jwt_secrets[1:],
    }
    texts = {name: [s.get_secret_value() for s in values] for name, values in secrets.items()}
    faults = [
        f"{name} {weakness}; generate a random one."
        for name, values in texts.items()
        if (weakness := next(filter(None, map(_weakness, values)), ""))
    ]
    if {*texts["SECRET_KEY"], *texts["SECRET_KEY_PREVIOUS"]} & {
        *texts["JWT_SECRET_KEY"],
        *texts["JWT_SECRET_KEY_PREVIOUS"],
    }:
        faults.append("SECRET_KEY and JWT_SECRET_KEY must differ, previous ones included.")
    return faults


def _weakness(secret: str) -> str:
    if any(word in secret.lower() for word in SAMPLE_WORDS):
        return "contains a word of a sample value"
    if len(set(secret)) < MIN_DISTINCT_CHARACTERS:
        return f"has fewer than {MIN_DISTINCT_CHARACTERS} different characters"
    return ""


def _exposure_faults(settings: "SettingsFields") -> list[str]:
    faults = []
    if settings.DEBUG:
        faults.append("DEBUG must be off in production.")
    faults += _origin_faults(settings)
    if any(_is_everybody(proxy) for proxy in settings.TRUSTED_PROXIES):
        faults.append("TRUSTED_PROXIES must list addresses of proxies, and not match every client.")
    if settings.MAIL_FOLDER is not None:
        faults.append("MAIL_FOLDER is for development: files hold links with tokens. Remove it.")
    if not settings.RATE_LIMIT_ENABLED:
        faults.append("RATE_LIMIT_ENABLED must be on in production.")
    return faults


def _origin_faults(settings: "SettingsFields") -> list[str]:
    origins = settings.CORS_ORIGINS
    # Any page can have the origin `null` (ASVS v3.4.2); with credentials, `*` is as unsafe.
    if not all(canonical_origin(origin) for origin in origins):
        return [_NEEDS_ORIGINS]
    # A man in the middle could inject a script into a page that is loaded over plain HTTP. The
    # script could then use the cookie.
    in_the_clear = any(origin.startswith("http:") for origin in origins)
    if settings.is_production and settings.refresh_token_in_cookie and in_the_clear:
        return ["CORS_ORIGINS must be https in production with REFRESH_TOKEN_TRANSPORT=cookie."]
    return []


def _is_everybody(proxy: str) -> bool:
    if proxy == UNIX_SOCKET:
        return False
    if proxy == EVERYBODY:
        return True
    network = parse_network(proxy)
    return network.prefixlen < _WIDEST_NETWORKS[network.version]


def _scale_faults(settings: "SettingsFields") -> list[str]:
    if "DATABASE_URL" not in settings.model_fields_set:
        return ["DATABASE_URL is not set. To use SQLite in production, set it explicitly."]
    if settings.WEB_CONCURRENCY == 1:
        return []
    faults = []
    if settings.is_sqlite:
        faults.append("SQLite serves one worker: set WEB_CONCURRENCY=1 or use PostgreSQL.")
    if settings.REDIS_URL is None:
        faults.append("The rate limiter in memory serves one worker: set REDIS_URL.")
    return faults


def _password_faults(settings: "SettingsFields") -> list[str]:
    minimums = {
        "ARGON2_MEMORY_KIB": OWASP_ARGON2_MEMORY_KIB,
        "ARGON2_TIME_COST": OWASP_ARGON2_TIME_COST,
    }
    faults = [
        f"{name} must be at least {minimum} (OWASP) in production."
        for name, minimum in minimums.items()
        if getattr(settings, name) < minimum
    ]
    if not settings.PASSWORD_REFUSE_COMMON:
        faults.append("PASSWORD_REFUSE_COMMON must be on in production.")
    return faults


def _mail_faults(settings: "SettingsFields") -> list[str]:
    """Return a sentence for each reason why production could not mail links, if required."""
    if settings.SMTP_URL is None and not settings.REGISTRATION_BY_MAIL:
        return []
    cause = "REGISTRATION_BY_MAIL" if settings.REGISTRATION_BY_MAIL else "SMTP_URL"
    faults = []
    if settings.SMTP_URL is None:
        faults.append("SMTP_URL is not set, and REGISTRATION_BY_MAIL sends mails.")
    if "MAIL_FROM" not in settings.model_fields_set:
        faults.append(f"MAIL_FROM is not set, and {cause} sends mails.")
    if "PUBLIC_URL" not in settings.model_fields_set:
        faults.append("PUBLIC_URL is not set, and links in mails start with it.")
    elif not settings.PUBLIC_URL.startswith("https://"):
        faults.append("PUBLIC_URL must be https in production: links in mails hold tokens.")
    return faults
