"""Requests made from the examples in OpenAPI, with the values that depend on an account."""

import json
import secrets
import string
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from mscr.http.media_types import FORM_TYPE, JSON_TYPE, MULTIPART_TYPE
from mscr.testing.api import Account
from mscr.testing.json_schema import NULL, Schema, SchemaReader, choices_of
from mscr.testing.routes import ApiRoute

# A part of a multipart form: a file with its name, content and media type, or a text (no name).
Part = tuple[str, bytes, str] | tuple[None, bytes]
# The field in which RFC 6749 names the kind of a login.
_GRANT: Final = "grant_type"
# How much a body differs from the examples. 0: not at all. 1: in texts that may be anything.
# 2: also in texts with a pattern or of a limited length, for example `9780441478125`.
MOST_VARIED: Final = 2
_ALPHABETS: Final = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
# One character is one byte, so that the example of a file can contain any bytes.
_BYTES: Final = "latin-1"


class Body(NamedTuple):
    """A body that a route accepts: its media type, its schema, and its value before encoding."""

    media_type: str
    schema: Schema
    value: Any

    def arguments(self) -> dict[str, Any]:
        """Return the body as arguments of the HTTP client."""
        if self.media_type == JSON_TYPE:
            return {"json": self.value}
        if self.media_type == FORM_TYPE:
            return {"data": self.value}
        if self.media_type == MULTIPART_TYPE:
            return {"files": self.value}
        return {"content": self.value, "headers": {"Content-Type": self.media_type}}


class Examples:
    """Makes valid requests from the first example of each field.

    Raises `LookupError` for a field without one, and names the field.
    """

    def __init__(self, openapi: Schema) -> None:
        self._openapi = openapi

    def body(self, route: ApiRoute, account: Account) -> Body | None:
        """Return a body that the route accepts from the account, or None if it reads none."""
        return self.body_of(route.operation, account, route.name)

    def body_of(self, operation: Mapping[str, Any], account: Account, name: str) -> Body | None:
        """Return a body for an operation of OpenAPI. Errors show its name."""
        for media_type, media in operation.get("requestBody", {}).get("content", {}).items():
            values = _Values(self._openapi, account)
            schema = values.resolve(media["schema"])
            value = values.example(schema, name)
            if media_type == MULTIPART_TYPE:
                properties = schema.get("properties", {})
                value = {k: values.part(k, properties[k], v) for k, v in value.items()}
            elif media_type not in {JSON_TYPE, FORM_TYPE}:
                is_text = media_type.startswith("text/") or "json" in media_type
                value = value.encode("utf-8" if is_text else _BYTES)
            return Body(media_type, schema, value)
        return None

    def query(self, route: ApiRoute) -> dict[str, Any]:
        """Return the parameters that the route's query requires."""
        reader = SchemaReader(self._openapi)
        return {
            each["name"]: reader.example(each["schema"], f"{route.name}, {each['name']}")
            for each in route.parameters
            if each["in"] == "query" and each.get("required")
        }

    def path_value(self, route: ApiRoute, name: str) -> str | None:
        """Return the example of a parameter in the path, or None for the id of an object."""
        for each in route.parameters:
            if (each["name"], each["in"]) == (name, "path"):
                schema = each["schema"]
                if "examples" in schema or schema.get("type") != "string" or "enum" in schema:
                    return str(SchemaReader(self._openapi).example(schema, f"{route.name}, {name}"))
        return None

    def fits(self, schema: Schema, value: Any) -> bool:
        return not SchemaReader(self._openapi).faults(schema, value)

    def objects(self, body: Body) -> Iterator[tuple[str, ...]]:
        """Yield the place of every object with declared fields: `()` is the body itself."""
        yield from _objects(SchemaReader(self._openapi), body.schema, body.value, ())

    def varied(self, body: Body, degree: int = 1) -> Body:
        """Return the body with other texts, which still fit the schema (`MOST_VARIED`).

        For values that must be unique, in case the example is taken.
        """
        reader = SchemaReader(self._openapi)
        return body._replace(value=_varied(reader, body.schema, body.value, degree))


class _Values(SchemaReader):
    """Examples for requests of an account: with its own credentials, and nothing left out."""

    def __init__(self, openapi: Schema, account: Account) -> None:
        super().__init__(openapi)
        self._account = account

    def _example(self, schema: Schema, at: str) -> Any:
        return self._own(schema, super()._example(self._without_null(schema), at))

    def part(self, name: str, schema: Schema, value: Any) -> Part:
        """Return a field of a multipart form."""
        schema = self.resolve(schema)
        if "contentMediaType" not in schema and schema.get("format") != "binary":
            return None, (value if isinstance(value, str) else json.dumps(value)).encode()
        return name, value.encode(_BYTES), schema.get("contentMediaType", "")

    def _without_null(self, schema: Schema) -> Schema:
        """Return the schema without null, unless its other values contain themselves."""
        choices = choices_of(schema)
        others = [each for each in choices if each != NULL and not self.is_around(each)]
        if NULL not in choices or not others:
            return schema
        kept = {name: schema[name] for name in ("examples", "default") if schema.get(name)}
        return {"anyOf": others, **kept}

    def _own(self, schema: Schema, value: Any) -> Any:
        properties = schema.get("properties", {})
        if not isinstance(value, dict) or not properties:
            return value
        own = {
            name: found
            for name in value.keys() & properties.keys()
            if (found := self._own_value(name, properties[name], properties)) is not None
        }
        return value | own

    def _own_value(self, name: str, schema: Schema, beside: Mapping[str, Any]) -> str | None:
        """Return the value of a field that depends on the account: by its format or its name."""
        account = self._account
        formats = {each.get("format") for each in (schema, *choices_of(schema))}
        if "email" in formats:
            return f"new-{secrets.token_hex(6)}@example.com"
        if "password" in formats:
            return None if name.startswith("new") else account.password
        if name == "email" or (name == "username" and _GRANT in beside):
            return account.email
        return account.refresh_token if name == "refresh_token" else None


def _objects(
    reader: SchemaReader, schema: Schema, value: Any, place: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    schema = reader.resolve(schema)
    if not isinstance(value, dict) or "properties" not in schema:
        return
    yield place
    for name, inner in value.items():
        yield from _objects(reader, schema["properties"].get(name, {}), inner, (*place, name))


def _varied(reader: SchemaReader, schema: Schema, value: Any, degree: int) -> Any:
    schema = reader.resolve(schema)
    for choice in choices_of(schema):
        if not reader.faults(choice, value):
            return _varied(reader, choice, value, degree)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return {k: _varied(reader, properties.get(k, {}), v, degree) for k, v in value.items()}
    if isinstance(value, list):
        return [_varied(reader, schema.get("items", {}), each, degree) for each in value]
    if not isinstance(value, str) or "format" in schema:
        return value
    others = [f"{value}-{secrets.token_hex(4)}"]
    if degree == MOST_VARIED:
        others += [value[:kept] + _alike(value[kept:]) for kept in range(len(value))]
    return next((each for each in others if not reader.faults(schema, each)), value)


def _alike(text: str) -> str:
    """Return other letters and digits, each of the same kind."""
    alphabets = ((character, _alphabet(character)) for character in text)
    return "".join(secrets.choice(alphabet.replace(c, "") or c) for c, alphabet in alphabets)


def _alphabet(character: str) -> str:
    return next((each for each in _ALPHABETS if character in each), character)
