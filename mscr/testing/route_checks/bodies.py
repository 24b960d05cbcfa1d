"""Checks of bodies and queries that are malformed, oversized, or say too much."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from fastapi import FastAPI
from httpx2 import Response
from sqlalchemy import MetaData

from mscr.db.session import Database
from mscr.http.media_types import FORM_TYPE
from mscr.project import Project
from mscr.schemas.problem_schemas import MAX_FAULTS
from mscr.testing.api import Api
from mscr.testing.bodies import BodySender
from mscr.testing.databases import on_sqlite
from mscr.testing.junk import BROKEN_JSON, CONTENT_TYPES
from mscr.testing.problems import faulty_fields, problem, shown_problem
from mscr.testing.route_caller import RouteCaller
from mscr.testing.route_checks.fixtures import OF_ALL_ROUTES
from mscr.testing.table_rows import all_rows

LIMIT: Final = 4096
CHUNK: Final = 1024
INVALID: Final = "validation_failed"
# Values for privileged fields, as an attacker would send them; 1 for all others.
PRIVILEGED_VALUES: Final = {
    "role": "admin",
    "roles": ["admin"],
    "is_deleted": True,
    "public_id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "email": "taken@example.com",
    "status": "active",
}


@OF_ALL_ROUTES
class BodyChecks:
    """Every route that reads JSON refuses what it does not expect, and changes nothing then."""

    async def test_privileged_fields_are_refused_everywhere_and_change_nothing(
        self, sender: BodySender, database: Database, tested_project: Project
    ) -> None:
        """AZ4: mass assignment. Each object in a body is sent the names of all columns."""
        before = await all_rows(database)
        privileged = privileged_fields(tested_project.metadata())

        for route in sender.routes:
            for place in sender.objects(route):
                # Send as many at once as one response reports: exactly these must be reported.
                fields = sorted(privileged - sender.fields(route, place))
                for start in range(0, len(fields), MAX_FAULTS):
                    sent = fields[start : start + MAX_FAULTS]
                    taken_over = {field: PRIVILEGED_VALUES.get(field, 1) for field in sent}
                    response = await sender.send_json(
                        route, sender.with_fields(route, place, taken_over)
                    )
                    # By name: a value of another type would be refused for a field that exists.
                    is_refused = response.status_code == 422
                    faults = shown_problem(response)["errors"] if is_refused else []
                    refused = {e["loc"][-1] for e in faults if e["type"] == "extra_forbidden"}
                    assert refused == set(sent), f"{route} accepts a field that OpenAPI hides"

        assert await all_rows(database) == before

    async def test_a_nul_is_refused_in_every_field_of_every_body(self, sender: BodySender) -> None:
        """IN2."""
        for route in sender.routes:
            for field, value in sender.body(route).items():
                for bad in with_nul(value):
                    content = json.dumps({**sender.body(route), field: bad})
                    response = await sender.send(route, content)
                    assert faulty_fields(response)[0][:2] == ["body", field], (route, bad)

    async def test_a_nul_is_refused_in_every_key(self, sender: BodySender) -> None:
        """IN2."""
        for route in sender.routes:
            for key in ("\0", *(f"{field}\0" for field in sender.body(route))):
                response = await sender.send(route, json.dumps({**sender.body(route), key: "a"}))
                problem(response, 422, INVALID)

    @on_sqlite
    async def test_every_route_with_a_query_refuses_unknown_parameters(
        self, api: Api, app: FastAPI
    ) -> None:
        """A misspelt option must not be ignored."""
        caller = RouteCaller(api, app)
        for name, route in caller.routes.items():
            if any(each["in"] == "query" for each in route.parameters):
                query = {**caller.objects.examples.query(route), "nothing": "1"}
                refused = await caller.call(name, "administrator", params=query)
                assert faulty_fields(refused) == [["query", "nothing"]], name

    async def test_a_body_that_is_no_json_object_is_refused_everywhere(
        self, sender: BodySender
    ) -> None:
        """IN3."""
        for route in sender.routes:
            for name, content in BROKEN_JSON.items():
                assert refused(await sender.send(route, content), 400, 422), (route, name)

    async def test_a_lone_surrogate_is_refused_in_every_field(self, sender: BodySender) -> None:
        """IN3."""
        for route in sender.routes:
            for field in sender.body(route):
                for text in (r"\ud800", r"a\udfff", r"\ud83e", r"\ud83e\ud83e"):
                    content = json.dumps({**sender.body(route), field: "@"}).replace("@", text)
                    assert refused(await sender.send(route, content.encode()), 400, 422), (
                        route,
                        field,
                    )

    @on_sqlite
    async def test_not_all_of_many_faults_are_reported(self, sender: BodySender) -> None:
        """IN3: a response must not be many times larger than its request."""
        for content in (
            json.dumps(dict.fromkeys((f"k{i}" for i in range(5000)), 1)),
            json.dumps({"k" * 100_000: 1}),
        ):
            for route in sender.routes:
                response = await sender.send(route, content)
                problem(response, 422, INVALID)
                assert len(response.content) < 10_000, route

    @on_sqlite
    async def test_a_body_of_another_content_type_is_refused(self, sender: BodySender) -> None:
        """IN5."""
        for route in sender.routes:
            for kind in CONTENT_TYPES:
                response = await sender.send(route, json.dumps(sender.body(route)), kind)
                assert refused(response, 415, 422), (route, kind)

    @on_sqlite
    async def test_a_body_that_is_not_utf_8_is_refused_with_that_reason(
        self, sender: BodySender
    ) -> None:
        """IN3."""
        for route in sender.routes:
            response = await sender.send(route, '{"title": "Käse"}'.encode("latin-1"))
            assert refused(response, 400, 422), route
            assert "UTF-8" in response.text, route

    @on_sqlite
    async def test_no_route_that_takes_json_accepts_a_form(self, sender: BodySender) -> None:
        """IN5."""
        for route in sender.routes:
            for form in ("title=a&password=b", ""):
                response = await sender.send(route, form, FORM_TYPE)
                problem(response, 415, "unsupported_media_type")


@on_sqlite
@pytest.mark.settings(MAX_BODY_BYTES=LIMIT)
class BodyLimitChecks:
    """No route reads more of a body than MAX_BODY_BYTES."""

    async def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not(
        self, sender: BodySender
    ) -> None:
        """IN1."""
        for route in sender.routes:
            assert (await sender.send(route, b"[" * LIMIT)).status_code != 413, route
            too_large = await sender.send(route, b"[" * (LIMIT + 1))
            problem(too_large, 413, "payload_too_large")

    @pytest.mark.parametrize("kind", ["application/json", FORM_TYPE])
    async def test_chunks_are_counted_and_refused_before_the_last_one_is_read(
        self, sender: BodySender, kind: str
    ) -> None:
        """IN1."""

        async def chunks(number: int) -> AsyncIterator[bytes]:
            for _ in range(number):
                read.append(CHUNK)
                yield b"[" * CHUNK

        for route in sender.routes:
            read: list[int] = []
            assert (await sender.send(route, chunks(1), kind)).status_code != 413, route
            read.clear()
            response = await sender.send(route, chunks(10 * LIMIT // CHUNK), kind)
            problem(response, 413, "payload_too_large")
            assert sum(read) <= LIMIT + 2 * CHUNK, route


def refused(response: Response, *statuses: int) -> bool:
    """Return whether this is a problem (RFC 9457) with one of these statuses."""
    body = shown_problem(response)
    return response.status_code in statuses and body["status"] == response.status_code


def with_nul(value: Any) -> list[Any]:
    """Return this value with a NUL in it, and nested structures with NULs inside."""
    text = value if isinstance(value, str) else "text"
    return [f"{text}\0", f"\0{text}", "\0", [f"{text}\0"], {"\0": "\0"}, {"a": {"b\0": ["\0"]}}]


def privileged_fields(metadata: MetaData) -> set[str]:
    """Return the names of all columns, and names that attackers would guess (mass assignment)."""
    columns = {column.name for table in metadata.sorted_tables for column in table.columns}
    return columns | {"is_admin", "is_superuser", "owner", "owner_public_id", "roles", "scopes"}
