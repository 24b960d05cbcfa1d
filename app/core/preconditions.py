"""Entity tags and the conditions that requests make with them (RFC 9110 §8.8.3 and §13)."""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self, runtime_checkable

from pydantic import BaseModel

from app.core.exceptions import PreconditionFailedError
from app.core.prepared_response import PreparedResponse

# One element of a list, which may be empty, and the comma after it. A tag may hold commas itself.
_ELEMENT: Final = re.compile(
    r'[ \t]*(?:(?P<weak>W/)?(?P<opaque>"[!#-~\x80-\xff]*")[ \t]*)?(?P<end>,|\Z)'
)
_TAG_BYTES: Final = 16


@runtime_checkable
class Identified(Protocol):
    """An object with a public id: a model with `PublicIdMixin`, or what is shown of one."""

    @property
    def public_id(self) -> Any: ...


@runtime_checkable
class Versioned(Protocol):
    """An object with a number that every change raises: a model with `VersionMixin`."""

    @property
    def version(self) -> Any: ...


def entity_tag(entity: Versioned, shown: BaseModel) -> str:
    """The strong entity tag of `entity`, as `shown` to the caller.

    It changes with whatever the caller sees, wherever that comes from: another table, the caller's
    rights, a new release with one field more. And with each version, also when a change was undone.
    """
    # Whoever is not shown when it changed is not told by the tag either.
    version = entity.version if "updated_at" in type(shown).model_fields else ""
    seen = f"{version} {shown.model_dump_json()}".encode()
    digest = hashlib.sha256(seen).digest()[:_TAG_BYTES]
    return f'"{base64.urlsafe_b64encode(digest).rstrip(b"=").decode()}"'


@dataclass(frozen=True, slots=True)
class EntityTags:
    """The value of `If-Match` or `If-None-Match`: any tag there is (`*`), or a list."""

    everything: bool = False
    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, value: str) -> Self:
        """Raises `ValueError` for what is neither `*` nor a list of entity tags."""
        if value.strip(" \t") == "*":
            return cls(everything=True)
        strong: set[str] = set()
        weak: set[str] = set()
        position, end = 0, ","
        # Element by element, each of them once: one expression for the whole could be made to
        # try exponentially many ways to read a hostile list.
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
        """A weak tag promises less than a write needs: it matches nothing here."""
        return self.everything or tag in self.strong

    def match_weakly(self, tag: str) -> bool:
        return self.everything or tag in self.strong or tag in self.weak


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What a request demands of the object that it is about; nothing, unless it says so."""

    tag_of: Callable[[Any], str]
    if_match: EntityTags | None = None
    if_none_match: EntityTags | None = None
    reading: bool = False

    def check(self, entity: Versioned) -> None:
        """Call it when the caller may do what it asks for, and before anything is changed.

        To write, the row must be locked: between this check and the change, nobody else may come.
        Raises `PreconditionFailedError`, and `PreparedResponse` (304) for a read of what the
        client has already.
        """
        if self.if_match is None and self.if_none_match is None:
            return
        tag = self.tag_of(entity)
        if self.if_match is not None and not self.if_match.match_strongly(tag):
            raise PreconditionFailedError
        if self.if_none_match is not None and self.if_none_match.match_weakly(tag):
            if self.reading:
                raise PreparedResponse(304, {"ETag": tag})
            raise PreconditionFailedError("It has a version that If-None-Match excludes.")
