"""Objects as responses show them: JSON and entity tag, serialized once per request."""

import base64
import hashlib
from typing import Any, Final, Protocol, runtime_checkable

from pydantic import BaseModel
from starlette.requests import Request

_TAG_BYTES: Final = 16
_KEPT: Final = "mscr.representations"


@runtime_checkable
class Identified(Protocol):
    """An object with a public id: a model with `PublicIdMixin`, or its response schema."""

    @property
    def public_id(self) -> Any: ...


@runtime_checkable
class Versioned(Protocol):
    """An object with a version that every change increments: a model with `VersionMixin`."""

    @property
    def version(self) -> Any: ...


class Representation:
    """One object as a schema shows it."""

    __slots__ = ("entity", "json", "schema", "shown")

    def __init__(self, entity: Any, schema: type[BaseModel]) -> None:
        self.entity = entity
        self.schema = schema
        self.shown = schema.model_validate(entity)
        self.json = self.shown.model_dump_json(by_alias=True)

    @property
    def etag(self) -> str:
        return entity_tag(self.entity, self.shown, self.json)

    @property
    def body(self) -> str:
        """The envelope of a success: the same text as that of `SuccessResponse`."""
        return f'{{"success":true,"data":{self.json},"message":null,"meta":null}}'

    def created_headers(self, path: str) -> dict[str, str]:
        """Return the headers of the response that created it in the collection at `path`.

        If the path names the object itself, such as `orders/{public_id}/lines`, a part of it was
        created: its location is the path up to its own id.
        """
        # Without Location, the tag would be that of the collection (RFC 9110 §15.3.2).
        headers = {"Location": _location(path, str(self.entity.public_id))}
        if isinstance(self.entity, Versioned):
            headers["ETag"] = self.etag
        return headers


def _location(path: str, public_id: str) -> str:
    segments = path.split("/")
    for number, segment in enumerate(segments):
        # Clients may write a UUID in capitals, or without hyphens.
        if segment.replace("-", "").lower() == public_id.replace("-", "").lower():
            return "/".join([*segments[:number], public_id])
    return f"{path}/{public_id}"


class Representations:
    """Keep the representation that a service made, for the response to the same request."""

    __slots__ = ("_latest",)

    def __init__(self) -> None:
        self._latest: Representation | None = None

    def make(self, entity: Any, schema: type[BaseModel]) -> Representation:
        """Make and keep a representation.

        Warning: the object must not change after this.
        """
        self._latest = made = Representation(entity, schema)
        return made

    def find(self, entity: Any, schema: type[BaseModel]) -> Representation | None:
        kept = self._latest
        return kept if kept and kept.entity is entity and kept.schema is schema else None


def representations_of(request: Request) -> Representations:
    kept: Representations = request.scope.setdefault(_KEPT, Representations())
    return kept


def represent(request: Request, entity: Any, schema: type[BaseModel]) -> Representation:
    """Return the representation that a service made in this request, or make one."""
    kept: Representations | None = request.scope.get(_KEPT)
    known = None if kept is None else kept.find(entity, schema)
    return Representation(entity, schema) if known is None else known


def entity_tag(entity: Versioned, shown: BaseModel, json: str | None = None) -> str:
    """Return the strong entity tag of `entity`, as `shown` to the caller, serialized as `json`.

    It changes with everything that the caller sees, wherever that comes from: another table, the
    caller's rights, a release that adds a field. It also changes with each version, even if a
    change was undone.
    """
    # A caller who does not see `updated_at` must not detect a change by the tag either.
    version = entity.version if "updated_at" in type(shown).model_fields else ""
    seen = f"{version} {json or shown.model_dump_json(by_alias=True)}".encode()
    digest = hashlib.sha256(seen).digest()[:_TAG_BYTES]
    return f'"{base64.urlsafe_b64encode(digest).rstrip(b"=").decode()}"'
