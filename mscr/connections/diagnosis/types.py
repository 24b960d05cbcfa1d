from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# Longer words of a server are no line any more.
_LONGEST: Final = 300


@dataclass(frozen=True, slots=True)
class Diagnosis:
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.cause}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Service:
    """A service that the program connects to, and where remedies are to be applied.

    `setting` holds its address. `authority` says how to name the certificate authority that it is
    to be trusted by, `tls` how to encrypt or not, `migrate` how to bring a schema up, and `pool`
    what to do when the program's own connections do not suffice.
    """

    name: str
    setting: str
    authority: str = "name its certificate authority's file"
    tls: str = "use TLS where the server does, and only there"
    migrate: str = "bring its schema up"
    pool: str = "raise the size of the pool"


# A code, a part of the server's words, the cause (None: the server's words), the remedy.
Rule = tuple[str, str, str | None, str]


def apply_rules(rules: Sequence[Rule], code: str, words: str, service: Service) -> Diagnosis | None:
    """Return what the first rule says whose code begins the error's, and whose words it has."""
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
    """Return the first line: details, which quote values, are in those that follow."""
    line = words.strip().partition("\n")[0].strip().rstrip(".")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
