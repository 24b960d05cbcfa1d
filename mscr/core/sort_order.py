"""The sort order that a client requests, as a list of columns and directions."""

from dataclasses import dataclass
from typing import Final

# How well a row matches a search. Computed for each search, so no cursor can contain it.
RELEVANCE: Final = "relevance"


@dataclass(frozen=True, slots=True)
class SortKey:
    field: str
    descending: bool


def sort_keys(sort: str) -> tuple[SortKey, ...]:
    keys: dict[str, SortKey] = {}
    for part in sort.split(","):
        field = part.removeprefix("-")
        keys.setdefault(field, SortKey(field, descending=part.startswith("-")))
    return tuple(keys.values())
