from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# Longer messages of a server are truncated.
_LONGEST: Final = 300


@dataclass(frozen=True, slots=True)
class Diagnosis:
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.cause}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Service:
    """A service that the program connects to, and the texts of its remedies.

    `setting` is the setting with its address. `authority` explains how to configure its
    certificate authority, `tls` how to turn TLS on or off, `migrate` how to upgrade its schema,
    and `pool` what to do when the connection pool is exhausted.
    """

    name: str
    setting: str
    authority: str = "name the file of its certificate authority"
    tls: str = "use TLS if the server does, and only then"
    migrate: str = "upgrade its schema"
    pool: str = "raise the size of the pool"


# Prefix of the code, substring of the message, cause (None: the message itself), remedy.
Rule = tuple[str, str, str | None, str]


def apply_rules(rules: Sequence[Rule], code: str, words: str, service: Service) -> Diagnosis | None:
    """Return the diagnosis of the first rule that matches the error's code and its message."""
    for prefix, part, cause, remedy in rules:
        if code.startswith(prefix) and part.lower() in words.lower():
            fields = {
                "name": service.name,
                "setting": service.setting,
                "tls": service.tls,
                "migrate": service.migrate,
            }
            return Diagnosis(cause or first_line(words), remedy.format(**fields))
    return None


def first_line(words: str) -> str:
    """Return the first line of a message. Later lines have details, which quote values."""
    line = words.strip().partition("\n")[0].strip().rstrip(".")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
