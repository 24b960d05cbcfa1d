"""The rules that refuse an unusable or unsafe configuration, with one line for each fault."""

import re
from typing import TYPE_CHECKING, Final

from sqlalchemy.engine import make_url

from app.core.addresses import EVERYBODY, UNIX_SOCKET, parse_address, parse_network
from app.core.hosts import canonical_origin
from app.core.mail_rules import mail_faults
from app.core.pooler import Pooler
from app.core.security.key_pairs import UnusableKeyError, read_private_key, read_public_keys
from app.core.security.signing_algorithm import SigningAlgorithm

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from app.core.config import Settings

# RFC 7518 §3.2: a key for HS256 has at least as many bits as the hash, which is 32 bytes.
MIN_SECRET_LENGTH: Final = 32

# Every origin that a browser may send: also `null` and those of apps, as capacitor://localhost.
_SENT_ORIGIN: Final = re.compile(r"null|\*|(?!https?:)[a-z][a-z0-9+.-]*://[^/?#@*\s]+")
# Wider networks hold addresses of strangers, too: 10.0.0.0/8 and fc00::/7 are private.
_WIDEST_NETWORKS: Final = {4: 8, 6: 7}
# The library's own pattern also takes several limits, of which only the first would count.
_LIMIT: Final = re.compile(r"([0-9]+)\s*(?:/|per)\s*([0-9]*)\s*([a-z]+)", re.IGNORECASE)
_LIMIT_UNITS: Final = ("second", "minute", "hour", "day", "month", "year")
MAX_LIMIT_AMOUNT: Final = 999_999_999
# Windows are counted in seconds: these are few enough for any unit.
MAX_LIMIT_UNITS: Final = 999_999

_CONTRADICTED: Final = {
    Pooler.NONE: {"pgbouncer": "set it to transaction, or to the pooler's pool_mode"},
    Pooler.SESSION: {},
    # Prepared statements are a session's, which is another one for each transaction.
    Pooler.TRANSACTION: dict.fromkeys(
        ("statement_cache_size", "prepared_statement_cache_size"), "remove it from the URL"
    ),
}

# OWASP Password Storage Cheat Sheet, Argon2id: m=19456 KiB, t=2, p=1.
OWASP_ARGON2_MEMORY_KIB = 19_456
OWASP_ARGON2_TIME_COST = 2

_NEEDS_ORIGINS: Final = (
    "CORS_ORIGINS must list exact origins, as in https://app.example.com: no path, no slash at the "
    "end, no *."
)

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

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


def fault_lines(error: "ValidationError") -> list[str]:
    """One line a fault, naming the setting and never its value."""
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
        # The only patterns of settings are lists of words.
        words = context["pattern"].strip("^$()").replace("|", ", ")
        return f"must be one of {words}"
    return fault["msg"].removeprefix("Value error, ")


def check_proxy(value: str) -> str:
    """Return the one spelling of an address or network, or `unix`, or `*`.

    Raises `ValueError` for anything else. Host names are refused: a request has an address.
    """
    if value in {EVERYBODY, UNIX_SOCKET}:
        return value
    try:
        return str(parse_network(value) if "/" in value else parse_address(value))
    except ValueError:
        raise ValueError(
            "needs addresses or networks, comma-separated, as in 10.0.0.1,172.16.0.0/12; no names"
        ) from None


def check_header_name(name: str) -> str:
    """Raise `ValueError` for anything but the name of a header (RFC 9110 §5.1)."""
    if name == "*" or not _HEADER_NAME.fullmatch(name):
        raise ValueError("needs names of headers, comma-separated; * is none")
    return name


def check_limit(value: str) -> str:
    """Raises `ValueError` for anything but one limit that lets something through."""
    found = _LIMIT.fullmatch(value)
    if found is None:
        raise ValueError("needs one limit of the form 5/15 minutes")
    amount, units, unit = found.groups()
    if unit.lower().removesuffix("s") not in _LIMIT_UNITS:
        raise ValueError(f"the window's unit must be one of {', '.join(_LIMIT_UNITS)}")
    if not _is_between(amount, MAX_LIMIT_AMOUNT):
        raise ValueError(f"the amount must be from 1 to {MAX_LIMIT_AMOUNT}")
    if units and not _is_between(units, MAX_LIMIT_UNITS):
        raise ValueError(f"the window must be from 1 to {MAX_LIMIT_UNITS} units")
    return value


def _is_between(digits: str, highest: int) -> bool:
    # Python refuses to convert thousands of digits.
    return len(digits) <= len(str(highest)) and 1 <= int(digits) <= highest


def signing_key_faults(settings: "Settings") -> list[str]:
    """One sentence for each key that does not go with JWT_ALGORITHM, and no part of it in any."""
    algorithm = settings.JWT_ALGORITHM
    if algorithm is SigningAlgorithm.HS256:
        # Whoever set them takes the tokens for signed with them.
        names = ("JWT_PRIVATE_KEY", "JWT_PUBLIC_KEYS")
        return [
            f"{name} is set, and JWT_ALGORITHM=HS256 does not use it; remove one of them."
            for name in names
            if getattr(settings, name)
        ]
    if settings.JWT_PRIVATE_KEY is None:
        remedy = f"`python cli.py generate-keys --algorithm {algorithm.value}` makes one."
        return [f"JWT_PRIVATE_KEY is not set, and {algorithm.value} signs with it. {remedy}"]
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


def pooler_faults(settings: "Settings") -> list[str]:
    """One sentence for each option of a URL that contradicts DATABASE_POOLER."""
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


def production_faults(settings: "Settings") -> list[str]:
    """One sentence for each reason not to start in production; no value of a secret in any."""
    return [
        *_secret_faults(settings),
        *_exposure_faults(settings),
        *_scale_faults(settings),
        *_password_faults(settings),
        *mail_faults(settings),
    ]


def development_faults(settings: "Settings") -> list[str]:
    """One sentence for each reason not to start even on one's own machine."""
    if settings.refresh_token_in_cookie:
        return _origin_faults(settings)
    origins = settings.CORS_ORIGINS
    could_be_sent = all(canonical_origin(each) or _SENT_ORIGIN.fullmatch(each) for each in origins)
    return [] if could_be_sent else [_NEEDS_ORIGINS]


def _secret_faults(settings: "Settings") -> list[str]:
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
        return "looks like a sample, by a word in it"
    if len(set(secret)) < MIN_DISTINCT_CHARACTERS:
        return f"has fewer than {MIN_DISTINCT_CHARACTERS} different characters"
    return ""


def _exposure_faults(settings: "Settings") -> list[str]:
    faults = []
    if settings.DEBUG:
        faults.append("DEBUG must be off in production.")
    faults += _origin_faults(settings)
    if any(_is_everybody(proxy) for proxy in settings.TRUSTED_PROXIES):
        faults.append("TRUSTED_PROXIES must list addresses of proxies, never everybody's.")
    if not settings.RATE_LIMIT_ENABLED:
        faults.append("RATE_LIMIT_ENABLED must be on in production.")
    return faults


def _origin_faults(settings: "Settings") -> list[str]:
    origins = settings.CORS_ORIGINS
    # `null` is everybody's (ASVS v3.4.2); with credentials, so is `*`.
    if not all(canonical_origin(origin) for origin in origins):
        return [_NEEDS_ORIGINS]
    # Whoever is on the way may write into a page that came without TLS, and so use the cookie.
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


def _scale_faults(settings: "Settings") -> list[str]:
    if "DATABASE_URL" not in settings.model_fields_set:
        return ["DATABASE_URL is not set. SQLite would do, but has to be asked for."]
    if settings.WEB_CONCURRENCY == 1:
        return []
    faults = []
    if settings.is_sqlite:
        faults.append("SQLite serves one worker: set WEB_CONCURRENCY=1 or use PostgreSQL.")
    if settings.REDIS_URL is None:
        faults.append("The rate limiter in memory serves one worker: set REDIS_URL.")
    return faults


def _password_faults(settings: "Settings") -> list[str]:
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
