"""Entity tags and conditional requests, an optimistic lock (RFC 9110 §8.8.3 and §13)."""

import re
from dataclasses import dataclass
from typing import Final, Self

from pydantic import BaseModel

from mscr.core.already_answered import AlreadyAnswered
from mscr.core.exceptions import PreconditionFailedError
from mscr.http.representation import Representation, Representations, Versioned

# One element of a list, which may be empty, and the comma after it. A tag may contain commas.
_ELEMENT: Final = re.compile(
    r'[ \t]*(?:(?P<weak>W/)?(?P<opaque>"[!#-~\x80-\xff]*")[ \t]*)?(?P<end>,|\Z)'
)


@dataclass(frozen=True, slots=True)
class EntityTags:
    """The value of `If-Match` or `If-None-Match`: any tag there is (`*`), or a list."""

    everything: bool = False
    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, value: str) -> Self:
        """Parse a header. Raises `ValueError` if it is neither `*` nor a list of entity tags."""
        if value.strip(" \t") == "*":
            return cls(everything=True)
        strong: set[str] = set()
        weak: set[str] = set()
        position, end = 0, ","
        # Match one element at a time: on a hostile list, a single expression for the whole could
        # backtrack exponentially (ReDoS).
        while end == ",":
            element = _ELEMENT.match(value, position)
            if element is None:
                raise ValueError("not a list of entity tags")
            if element["opaque"]:
                (weak if element["weak"] else strong).add(element["opaque"])
            position, end = element.end(), element["end"]
        if not strong | weak:
            raise ValueError("no entity tag")
        return cls(strong=frozenset(strong), weak=frozenset(weak))

    def match_strongly(self, tag: str) -> bool:
        """Return whether a strong tag matches. Weak tags promise less than a write needs."""
        return self.everything or tag in self.strong

    def match_weakly(self, tag: str) -> bool:
        return self.everything or tag in self.strong or tag in self.weak


@dataclass(frozen=True, slots=True)
class Preconditions:
    """The `If-Match` and `If-None-Match` of a request, to be checked against an object."""

    schema: type[BaseModel]
    if_match: EntityTags | None = None
    if_none_match: EntityTags | None = None
    reading: bool = False
    kept: Representations | None = None

    def check(self, entity: Versioned) -> None:
        """Check the object, after authorization and before any change.

        Warning: lock the row before a write, so that no other transaction changes it after this
        check. In a read (GET, HEAD), the object must not change after this: if the request has a
        condition, the response shows the object as it was checked.

        Raises `PreconditionFailedError`, and `AlreadyAnswered` (304) if the client reads a version
        that it already has.
        """
        if self.if_match is None and self.if_none_match is None:
            return
        if self.kept is None:
            tag = Representation(entity, self.schema).etag
        else:
            tag = self.kept.make(entity, self.schema).etag
        if self.if_match is not None and not self.if_match.match_strongly(tag):
            raise PreconditionFailedError
        if self.if_none_match is not None and self.if_none_match.match_weakly(tag):
            if self.reading:
                raise AlreadyAnswered(304, {"ETag": tag})
            raise PreconditionFailedError("The object has a version that If-None-Match excludes.")
