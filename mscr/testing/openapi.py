"""The operations of an OpenAPI document, and how responses differ from it."""

from collections.abc import Iterator
from typing import Any, Final

from mscr.http.middleware import SECURITY_HEADERS
from mscr.testing.crawl import Answer
from mscr.testing.json_schema import Schema, SchemaReader

NDJSON: Final = "application/x-ndjson"
# Headers of HTTP itself, of caching and of browsers: no generated client reads them.
USUAL_HEADERS: Final = {name.decode() for name in SECURITY_HEADERS} | {
    *("content-type", "content-length", "pragma", "set-cookie", "vary"),
}


def operations(openapi: Schema) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def undocumented(openapi: Schema, answer: Answer) -> list[str]:
    """Return what is undocumented about a response's status and body."""
    route, response = answer.route, answer.response
    operation = dict(operations(openapi))[route]
    documented = operation["responses"].get(str(response.status_code))
    if documented is None:
        return [f"{route}: {response.status_code} {response.text}"]
    kind = response.headers.get("content-type", "").partition(";")[0]
    # An empty file is a body, too.
    if not response.content and kind != NDJSON:
        return [f"{route}: no body"] if "content" in documented else []
    media = documented["content"].get(kind, {"schema": {"enum": []}})
    shown = response.json() if kind.endswith("json") and kind != NDJSON else response.text
    faults = SchemaReader(openapi).faults(media["schema"], shown)
    return [f"{route}: {response.status_code} {fault}" for fault in faults]


def header_faults(openapi: Schema, answer: Answer) -> list[str]:
    """Return how the headers of a response differ from the documented ones."""
    route, response = answer.route, answer.response
    documented = dict(operations(openapi))[route]["responses"][str(response.status_code)]["headers"]
    headers = {
        name.lower(): openapi["components"]["headers"][facts["$ref"].rpartition("/")[2]]
        if "$ref" in facts
        else facts
        for name, facts in documented.items()
    }
    sent = {name: value for name, value in response.headers.items() if name not in USUAL_HEADERS}
    faults = [f"{name} is not documented" for name in sent.keys() - headers.keys()]
    for name, facts in headers.items():
        if facts.get("required") and name not in sent:
            faults.append(f"{name} is missing")
        elif name in sent and facts["schema"]["type"] == "string":
            faults += SchemaReader(openapi).faults(facts["schema"], sent[name])
    return [f"{route}, {response.status_code}: {fault}" for fault in faults]
