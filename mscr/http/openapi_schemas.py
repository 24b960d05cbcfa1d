"""Corrections of FastAPI's schemas: missing names and formats, and texts that only suit Python."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

Schema = dict[str, Any]
REFERENCE: Final = "#/components/schemas/{model}"
PREFIX: Final = REFERENCE.format(model="")
_NULL: Final = {"type": "null"}
_GENERATED: Final = "Body_"
# The media type that FastAPI documents an `UploadFile` with.
_FILE: Final = "application/octet-stream"
_BOUNDS: Final = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}


def name_by_title(openapi: Schema) -> None:
    """Name each component after its model: generic ones have longer names by default."""
    schemas = openapi["components"]["schemas"]
    titles = {key: schema.get("title", "") for key, schema in schemas.items()}
    count = Counter(titles.values())
    # A model that is read and written may have two schemas, -Input and -Output.
    names = {
        key: t if t.isidentifier() and count[t] == 1 else key.replace("-", "")
        for key, t in titles.items()
    }
    openapi["components"]["schemas"] = {names[key]: s for key, s in schemas.items()}
    _rename(openapi, {PREFIX + key: PREFIX + name for key, name in names.items()})


def _rename(part: Any, references: dict[str, str]) -> None:
    if isinstance(part, list):
        for inner in part:
            _rename(inner, references)
    elif isinstance(part, dict):
        if part.get("$ref") in references:
            part["$ref"] = references[part["$ref"]]
        for inner in part.values():
            _rename(inner, references)


def is_referred_to(part: Any, name: str) -> bool:
    """Return whether any part of the document refers to the component of this name."""
    if isinstance(part, list):
        return any(is_referred_to(inner, name) for inner in part)
    if not isinstance(part, dict):
        return False
    return part.get("$ref") == PREFIX + name or is_referred_to(list(part.values()), name)


def name_generated_bodies(openapi: Schema) -> None:
    """Rename the bodies that FastAPI makes of several parameters, by the operation's id.

    Forms, uploads and several JSON parameters have one: UploadPhotoBody for Body_upload_photo.
    """
    for key, schema in openapi["components"]["schemas"].items():
        if key.startswith(_GENERATED):
            words = key.removeprefix(_GENERATED).split("_")
            schema["title"] = "".join(word[:1].upper() + word[1:] for word in words) + "Body"


def name_inline_bodies(openapi: Schema) -> None:
    """Move bodies that a route defines inline to the components, so that generated types get names.

    Such routes read the body themselves and document it with `openapi_extra`, or respond with
    something other than JSON.
    """
    for operation in _operations(openapi):
        for media in _contents(operation):
            schema = media["schema"]
            if "title" in schema:
                # FastAPI titles the response of a plain type "Response List Names".
                name = schema["title"].replace(" ", "")
                openapi["components"]["schemas"][name] = schema
                media["schema"] = {"$ref": REFERENCE.format(model=name)}


def _contents(operation: Schema) -> Iterator[Schema]:
    for body in (operation.get("requestBody", {}), *operation["responses"].values()):
        yield from body.get("content", {}).values()


def mark_files(openapi: Schema) -> None:
    """Add `format: binary` to the files of forms: without it, generators take them for strings."""
    for schema in _of_type("string", openapi["components"]["schemas"]):
        if schema.get("contentMediaType") == _FILE:
            schema["format"] = "binary"


def write_whole_bounds(openapi: Schema) -> None:
    """Write the bounds of integers as integers: FastAPI makes floats of them.

    Written as 9.223372036854776e+18, the bound is more than 2**63 and allows refused values.
    """
    for schema in _of_type("integer", openapi):
        for keyword in _BOUNDS & schema.keys():
            schema[keyword] = int(schema[keyword])


def _of_type(name: str, part: Any) -> Iterator[Schema]:
    if isinstance(part, list):
        for inner in part:
            yield from _of_type(name, inner)
    elif isinstance(part, dict):
        if part.get("type") == name:
            yield part
        for inner in part.values():
            yield from _of_type(name, inner)


def drop_nulls_of_parameters(openapi: Schema) -> None:
    """Remove null from optional parameters: a client omits them, and cannot send null."""
    for operation in _operations(openapi):
        for parameter in operation.get("parameters", []):
            parameter["schema"] = _without_null(parameter["schema"])


def _without_null(schema: Schema) -> Schema:
    if _NULL not in schema.get("anyOf", []):
        return schema
    choices = [choice for choice in schema["anyOf"] if choice != _NULL]
    others = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**(choices[0] if len(choices) == 1 else {"anyOf": choices}), **others}


def _operations(openapi: Schema) -> list[Schema]:
    return [operation for path in openapi["paths"].values() for operation in path.values()]
