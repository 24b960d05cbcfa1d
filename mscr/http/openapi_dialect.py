"""The dialect of an application in its OpenAPI document."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from mscr.http.bearer import SCHEME_NAME
from mscr.http.dialect import Dialect, ErrorShape, TokenScheme
from mscr.http.openapi_schemas import REFERENCE, Schema, is_referred_to
from mscr.http.problems import PROBLEM_MEDIA_TYPE
from mscr.schemas.problem_schemas import FieldProblem, Problem

_PROBLEM: Schema = {"$ref": REFERENCE.format(model=Problem.__name__)}


def document_dialect(openapi: Schema, dialect: Dialect) -> None:
    """Replace problems and the scheme of tokens by those of the dialect."""
    for path, operations in openapi["paths"].items():
        if (shape := dialect.shape_of(path)) is not None:
            for response in _responses(operations):
                _reshape(response, shape)
    if dialect.errors:
        _replace_schemas(openapi["components"]["schemas"], dialect)
        for model in (Problem, FieldProblem):
            if not is_referred_to(openapi, model.__name__):
                openapi["components"]["schemas"].pop(model.__name__, None)
    if dialect.token_scheme is not None:
        _rename_scheme(openapi, dialect.token_scheme)


def _responses(operations: Schema) -> Iterator[Schema]:
    for operation in operations.values():
        yield from operation["responses"].values()


def _reshape(response: Schema, shape: ErrorShape) -> None:
    content = response.get("content", {})
    # The errors of the token endpoint have another schema, and keep it.
    if content.get(PROBLEM_MEDIA_TYPE, {}).get("schema") != _PROBLEM:
        return
    examples = {
        code: {**example, "value": shape.body(example["value"])}
        for code, example in content.pop(PROBLEM_MEDIA_TYPE)["examples"].items()
    }
    schema = {"$ref": REFERENCE.format(model=shape.schema.__name__)}
    content[shape.media_type] = {"schema": schema, "examples": examples}


def _replace_schemas(schemas: dict[str, Any], dialect: Dialect) -> None:
    for shape in dialect.errors:
        own = shape.schema.model_json_schema(ref_template=REFERENCE, mode="serialization")
        schemas.update(own.pop("$defs", {}))
        schemas[shape.schema.__name__] = own


def _rename_scheme(openapi: Schema, scheme: TokenScheme) -> None:
    schemes = openapi["components"].get("securitySchemes", {})
    if schemes.pop(SCHEME_NAME, None) is not None:
        schemes[scheme.name] = {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": scheme.description,
        }
    for operations in openapi["paths"].values():
        for operation in operations.values():
            for way in operation.get("security", ()):
                if SCHEME_NAME in way:
                    way[scheme.name] = way.pop(SCHEME_NAME)
    # A copy: all applications of a process share the headers.
    headers = openapi["components"]["headers"] = deepcopy(openapi["components"]["headers"])
    challenge = headers["WWW-Authenticate"]["schema"]
    challenge["pattern"] = challenge["pattern"].replace("Bearer", re.escape(scheme.name))
    challenge["examples"] = [each.replace("Bearer", scheme.name) for each in challenge["examples"]]
