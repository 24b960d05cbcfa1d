"""The tests of all routes find objects and bodies of any shape, and notice what is wrong."""

import dataclasses
import io
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from pydantic import BaseModel, Field
from sqlalchemy import text

from examples.catalogue.db.session import Database
from examples.catalogue.models.base import Base
from examples.catalogue.routers import items, orders, tags
from examples.catalogue.tests.api import Api as OwnApi
from mscr.core.exceptions import ConflictError, NotFoundError, ValidationFailedError
from mscr.endpoints.callers import CurrentPrincipal
from mscr.endpoints.database import DbSession
from mscr.project import Project
from mscr.schemas.base import Day, RequestSchema
from mscr.testing.access import access_faults
from mscr.testing.api import Account, Api
from mscr.testing.bodies import BodySender
from mscr.testing.crawl import Answer
from mscr.testing.databases import on_sqlite
from mscr.testing.examples import Examples
from mscr.testing.integer_keys import IntegerKeys
from mscr.testing.json_schema import EXAMPLES
from mscr.testing.objects import Target, shown_rows
from mscr.testing.openapi import header_faults, undocumented
from mscr.testing.recorded_routes import RecordFile, observed
from mscr.testing.route_caller import RouteCaller
from mscr.testing.route_checks.answers import AnswerChecks
from mscr.testing.route_checks.bodies import BodyChecks
from mscr.testing.route_checks.documents import DocumentChecks
from mscr.testing.route_checks.errors import ErrorChecks
from mscr.testing.route_checks.fixtures import Crawled, Crawler
from mscr.testing.route_checks.records import RecordChecks
from mscr.testing.routes import CALLERS, ApiRoute, Caller, routes_of
from mscr.testing.statement_runs import StatementRun, statements_of_routes
from mscr.testing.statements import StatementCounter
from mscr.tests.support.library import PNG, Library, add_library

ACCOUNT = Account("ada@example.com", "", {"refresh_token": "own"}, "own password")
BOOKS = "/api/v1/library/books"
COVER = f"PUT {BOOKS}/{{slug}}/cover"


@pytest.fixture
async def app(app: FastAPI) -> FastAPI:
    """Leave out most of the catalogue's routes, which would take nine tenths of the time."""
    left_out = (items.router, tags.router, orders.router)
    app.router.routes[:] = [
        route
        for route in app.router.routes
        if getattr(route, "original_router", None) not in left_out
    ]
    return app


async def answers_of(api: Api, app: FastAPI, *routes: str) -> list[Answer]:
    """Return the responses of these routes, or of all of the library, to each kind of caller."""
    caller = RouteCaller(api, app)
    chosen = routes or [name for name in caller.routes if "/library/" in name]
    found = []
    for route in chosen:
        for kind in CALLERS:
            place = (await caller.prepare(route, kind)).place
            found.append(Answer(route, await caller.call(route, kind), kind, place.target))
    return found


def statuses(answers: list[Answer]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for answer in answers:
        found.setdefault(answer.route, []).append(answer.response.status_code)
    return found


@on_sqlite
async def test_paths_and_bodies_of_any_shape_are_found(api: Api, app: FastAPI) -> None:
    library = Library()
    add_library(app, library)

    answers = await answers_of(api, app)

    assert list(access_faults(routes_of(app), answers)) == []
    assert {route.replace("/api/v1/library", ""): s for route, s in statuses(answers).items()} == {
        "POST /books": [401, 201, 201],
        "GET /books": [401, 200, 200],
        "GET /books/{slug}": [401, 404, 404],
        "PUT /books/{slug}/cover": [401, 404, 404],
        "POST /books/{slug}/loans": [401, 404, 404],
        "DELETE /books/{slug}/loans/{loan_id}": [401, 404, 404],
        "GET /books/{slug}/summary": [401, 200, 200],
        "POST /reviews": [401, 201, 201],
        "POST /shelves": [401, 403, 201],
        "GET /shelves/{shelf_id}": [401, 200, 200],
        "GET /reports/{year}": [401, 200, 200],
        "GET /branches/{branch}": [404, 404, 404],
    }


@on_sqlite
async def test_an_owner_reaches_each_object_of_their_own(api: Api, app: FastAPI) -> None:
    add_library(app, Library())
    caller = RouteCaller(api, app, owns=True)

    found = {
        route: (await caller.call(route, "administrator")).status_code
        for route in caller.routes
        if f"{BOOKS}/{{slug}}" in route
    }

    assert list(found.values()) == [200, 204, 201, 204, 200]
    assert COVER in found


@on_sqlite
async def test_a_route_that_ignores_the_owner_is_a_fault(api: Api, app: FastAPI) -> None:
    add_library(app, Library(is_careful=False))
    route = f"GET {BOOKS}/{{slug}}"

    faults = list(access_faults(routes_of(app), await answers_of(api, app, route)))

    assert len(faults) == 2
    assert f"{route}: user got 200 for another user's object, and should get 404" in faults[0]
    assert "@shared" in faults[0]


class Carts:
    """Carts with lines: `POST carts/{public_id}/lines` returns the cart."""

    def __init__(self, listed_as: str = "cart_lines") -> None:
        self.lines: dict[str, list[str]] = {}
        self._listed_as = listed_as

    def add(self, app: FastAPI) -> None:
        async def create(_: CurrentPrincipal) -> dict[str, Any]:
            """Create a cart."""
            cart = str(uuid4())
            self.lines[cart] = []
            return self._shown(cart)

        async def add_line(public_id: str, _: CurrentPrincipal) -> dict[str, Any]:
            """Add a line."""
            self.lines[public_id].append(str(uuid4()))
            return self._shown(public_id)

        async def remove_line(public_id: str, line_public_id: str, _: CurrentPrincipal) -> None:
            """Remove a line."""
            if line_public_id not in self.lines[public_id]:
                raise NotFoundError
            self.lines[public_id].remove(line_public_id)

        app.post("/carts", status_code=201)(create)
        app.post("/carts/{public_id}/cart-lines", status_code=201)(add_line)
        app.delete("/carts/{public_id}/cart-lines/{line_public_id}", status_code=204)(remove_line)
        app.openapi_schema = None

    def _shown(self, cart: str) -> dict[str, Any]:
        rows = [{"public_id": line} for line in self.lines[cart]]
        return {"data": {"public_id": cart, self._listed_as: rows}}


REMOVE_LINE = "DELETE /carts/{public_id}/cart-lines/{line_public_id}"


@on_sqlite
async def test_a_part_is_found_in_the_object_above_it(api: Api, app: FastAPI) -> None:
    carts = Carts()
    carts.add(app)

    response = await RouteCaller(api, app).call(REMOVE_LINE, "user")

    assert response.status_code == 204
    assert list(carts.lines.values()) == [[]]


@on_sqlite
async def test_the_object_above_is_not_taken_for_its_part(api: Api, app: FastAPI) -> None:
    carts = Carts(listed_as="contents")
    carts.add(app)

    place = (await RouteCaller(api, app).prepare(REMOVE_LINE, "user")).place

    [cart] = carts.lines
    assert place.path.count(cart) == 1
    assert place.target == "other"


class Unclear(RequestSchema):
    word: str


def with_body(app: FastAPI, schema: Any) -> tuple[Examples, ApiRoute]:
    async def read(data: Any) -> None:
        """Read a body."""

    read.__annotations__["data"] = schema
    app.post("/bodies")(read)
    app.openapi_schema = None
    return Examples(app.openapi()), routes_of(app)["POST /bodies"]


@on_sqlite
async def test_a_field_without_an_example_is_named(app: FastAPI) -> None:
    examples, route = with_body(app, Unclear)

    with pytest.raises(LookupError, match=r"POST /bodies\.word has no example: give it"):
        examples.body(route, ACCOUNT)


@on_sqlite
async def test_a_body_has_every_field_and_ends_where_it_contains_itself(app: FastAPI) -> None:
    add_library(app, Library())
    routes, examples = routes_of(app), Examples(app.openapi())

    body = examples.body(routes[f"POST {BOOKS}"], ACCOUNT)

    assert body
    assert body.value["book"] == {
        "slug": "Middlemarch",
        "price": "12.50",
        "printed_on": "2027-01-31",
        "author": {"name": "Middlemarch", "pseudonym": "Middlemarch"},
        "editions": [{"kind": "paper", "pages": 880}],
        "first_chapter": {"title": "Middlemarch", "parts": [], "sequel": None},
        "labels": ["Middlemarch"],
        "extra": {"colour": "red", "sizes": [1, 2]},
    }
    assert list(examples.objects(body)) == [
        (),
        ("book",),
        ("book", "author"),
        ("book", "first_chapter"),
    ]
    varied = examples.varied(body).value["book"]
    assert varied["slug"] != "Middlemarch"
    assert varied["labels"] != ["Middlemarch"]
    assert (varied["price"], varied["printed_on"]) == ("12.50", "2027-01-31")


@on_sqlite
async def test_the_characters_of_a_files_example_are_its_bytes(app: FastAPI) -> None:
    add_library(app, Library())

    body = Examples(app.openapi()).body(routes_of(app)[COVER], ACCOUNT)

    assert body
    assert body.arguments() == {
        "files": {
            "cover": ("cover", PNG.encode("latin-1"), "application/octet-stream"),
            "title": (None, b"Front"),
            "width": (None, b"300"),
        }
    }


class Credentials(RequestSchema):
    email: Annotated[str, Field(examples=["ada@example.org"])]
    username: Annotated[str, Field(examples=["Ada"])]
    address: Annotated[str, Field(examples=["a@b.org"], json_schema_extra={"format": "email"})]
    current_password: Annotated[
        str, Field(json_schema_extra={"format": "password"}, examples=["a"])
    ]
    new_password: Annotated[str, Field(json_schema_extra={"format": "password"}, examples=["b"])]
    refresh_token: Annotated[str, Field(examples=["c"])]


@on_sqlite
async def test_credentials_are_those_of_the_account(app: FastAPI) -> None:
    examples, route = with_body(app, Credentials)

    body = examples.body(route, ACCOUNT)

    assert body
    address = body.value.pop("address")
    assert address.startswith("new-")
    assert body.value == {
        "email": "ada@example.com",
        "username": "Ada",
        "current_password": "own password",
        "new_password": "b",
        "refresh_token": "own",
    }


@on_sqlite
async def test_an_id_of_no_known_object_may_be_404(api: Api, app: FastAPI) -> None:
    class Message(RequestSchema):
        sender_id: dict[str, int] = Field(examples=[{"a": 1}])
        receiver_id: str = Field(examples=[EXAMPLES["uuid"]])

    with_body(app, Message)
    caller = RouteCaller(api, app)

    assert (await caller.prepare("POST /bodies", "user")).place.target == "other"


def answer(status: int, caller: Caller, target: Target = "none") -> Answer:
    return Answer("GET /a", Response(status), caller, target)


def route_with(**facts: Any) -> ApiRoute:
    defaults: dict[str, Any] = {
        "name": "GET /a",
        "operation": {},
        "access": "required",
        "reads_cookie": False,
        "permissions": frozenset(),
        "sharing": None,
        "calls": frozenset(),
    }
    return ApiRoute(**{**defaults, **facts})


OPEN = {"access": "open"}
OPTIONAL = {"access": "optional"}
PERMITTED = {"permissions": frozenset({"users:read"})}


@pytest.mark.parametrize(
    ("facts", "given", "is_right"),
    [
        (OPEN, answer(200, "anonymous"), True),
        (OPEN, answer(401, "anonymous"), False),
        (OPEN, answer(500, "anonymous"), False),
        ({}, answer(200, "anonymous"), False),
        ({}, answer(401, "anonymous"), True),
        ({}, answer(403, "user"), False),
        ({}, answer(404, "user"), False),
        ({}, answer(422, "user"), False),
        ({}, answer(409, "user"), True),
        (PERMITTED, answer(401, "anonymous"), True),
        (PERMITTED, answer(403, "user"), True),
        (PERMITTED, answer(200, "user"), False),
        (PERMITTED, answer(404, "user", "own"), False),
        (PERMITTED, answer(403, "administrator"), False),
        ({}, answer(200, "user", "own"), False),
        ({}, answer(200, "administrator", "own"), False),
        ({}, answer(404, "administrator", "own"), True),
        ({"sharing": "permitted"}, answer(200, "user", "own"), False),
        ({"sharing": "permitted"}, answer(404, "user", "own"), True),
        ({"sharing": "permitted"}, answer(200, "administrator", "own"), True),
        ({"sharing": "permitted"}, answer(404, "administrator", "own"), False),
        ({"sharing": "everyone"}, answer(200, "user", "own"), True),
        ({"sharing": "everyone"}, answer(404, "user", "own"), False),
        ({}, answer(404, "user", "other"), True),
        (OPTIONAL, answer(200, "anonymous"), True),
        (OPTIONAL, answer(401, "anonymous"), False),
        (OPTIONAL, answer(200, "user"), True),
        (OPTIONAL, answer(200, "anonymous", "own"), False),
        (OPTIONAL, answer(404, "anonymous", "own"), True),
        (OPTIONAL | {"sharing": "permitted"}, answer(200, "anonymous", "own"), False),
        (OPTIONAL | {"sharing": "permitted"}, answer(200, "administrator", "own"), True),
        (OPTIONAL | {"sharing": "everyone"}, answer(200, "anonymous", "own"), True),
    ],
)
def test_access_follows_from_the_dependencies(
    facts: dict[str, Any], given: Answer, is_right: bool
) -> None:
    faults = list(access_faults({"GET /a": route_with(**facts)}, [given]))
    assert (faults == []) is is_right


def test_a_statement_for_each_row_is_a_fault() -> None:
    few = {"GET /a": 3, "GET /b": 3, "GET /c": 3}

    [fault] = StatementRun(few, {"GET /a": 3, "GET /b": 4, "GET /c": 6}).growing()

    assert fault.startswith("GET /c: 3 statements with 2 rows in each list, 6 with 5")


def test_the_record_shows_every_difference_at_once(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "routes.toml")
    routes = {
        name: route_with(name=name, operation={"operationId": "a"})
        for name in ("GET /a", "GET /b", "GET /c")
    }
    before = observed(routes, [answer(401, "anonymous")], dict.fromkeys(routes, 2))
    assert len(file.differences(before)) == 3
    file.write(before)
    assert file.differences(before) == []
    after = observed(
        {**{name: routes[name] for name in ("GET /a", "GET /b")}, "POST /a": routes["GET /a"]},
        [answer(200, "anonymous")],
        {"GET /a": 2, "GET /b": 7, "POST /a": 1},
    )

    assert file.differences(after) == [
        '- "GET /a" = { name = "a", statements = 2, anonymous = 401 }',
        '+ "GET /a" = { name = "a", statements = 2, anonymous = 200 }',
        '+ "POST /a" = { name = "a", statements = 1 }',
        '- "GET /b" = { name = "a", statements = 2 }',
        '+ "GET /b" = { name = "a", statements = 7 }',
        '- "GET /c" = { name = "a", statements = 2 }',
    ]


@on_sqlite
async def test_the_checks_of_bodies_pass_for_forms_and_nested_objects(
    api: Api, app: FastAPI, database: Database, tested_project: Project, log_output: io.StringIO
) -> None:
    add_library(app, Library())
    sender, served = await BodySender.create(api, app), app.openapi()

    await DocumentChecks().test_every_body_has_an_example_that_is_accepted(sender, served)
    await DocumentChecks().test_a_form_without_a_required_part_is_refused(sender, served)
    await ErrorChecks().test_no_refusal_echoes_a_value_of_the_body(log_output, sender)
    await BodyChecks().test_privileged_fields_are_refused_everywhere_and_change_nothing(
        sender, database, tested_project
    )


class Reservation(RequestSchema):
    book_id: UUID
    last_day: Day


class Reserving(OwnApi):
    async def example_body(self, route: str, body: Any, account: Account) -> Any:
        return body | {"last_day": "2030-01-01"} if route == "POST /reservations" else body


def add_reservations(app: FastAPI, library: Library) -> None:
    """A reservation names a book that exists, and a day that no schema can express."""
    add_library(app, library)

    async def create(data: Any, _: CurrentPrincipal) -> None:
        """Reserve a book."""
        if str(data.book_id) not in {book["public_id"] for _, book in library.books.values()}:
            raise ValidationFailedError("There is no such book.", loc=("body", "book_id"))
        if data.last_day != date(2030, 1, 1):
            raise ValidationFailedError("The day is too far away.", loc=("body", "last_day"))

    create.__annotations__["data"] = Reservation
    app.post("/reservations", status_code=204)(create)
    app.openapi_schema = None


@on_sqlite
async def test_an_example_is_sent_with_the_id_of_an_object_and_the_projects_values(
    client: AsyncClient, app: FastAPI, database: Database
) -> None:
    add_reservations(app, Library())
    sender = await BodySender.create(Reserving(client, database), app)

    await DocumentChecks().test_every_body_has_an_example_that_is_accepted(sender, app.openapi())


@on_sqlite
async def test_an_example_that_a_rule_refuses_is_named_with_the_remedy(
    api: Api, app: FastAPI
) -> None:
    add_reservations(app, Library())
    sender = await BodySender.create(api, app)

    with pytest.raises(AssertionError, match=r"(?s)The day is too far away.*`example_body`"):
        await DocumentChecks().test_every_body_has_an_example_that_is_accepted(
            sender, app.openapi()
        )


class Careless(BaseModel):
    name: Annotated[str, Field(examples=["Ada"])]


@on_sqlite
async def test_a_body_that_ignores_unknown_fields_is_a_fault(
    api: Api, app: FastAPI, database: Database, tested_project: Project
) -> None:
    """Mass assignment: the check finds it."""
    with_body(app, Careless)
    sender = await BodySender.create(api, app)

    with pytest.raises(AssertionError, match="POST /bodies accepts a field"):
        await BodyChecks().test_privileged_fields_are_refused_everywhere_and_change_nothing(
            sender, database, tested_project
        )


# The kit's own routes that no example can succeed on: the token of a mail, a job that is dead.
REFUSED = {
    "DELETE /api/v1/jobs/{public_id}",
    "POST /api/v1/auth/reset-password",
    "POST /api/v1/auth/verify-email",
    "POST /api/v1/jobs/{public_id}/retry",
}


@on_sqlite
async def test_statements_are_counted_although_the_examples_are_taken(
    api: Api, app: FastAPI, queries: StatementCounter
) -> None:
    @app.get("/each-row")
    async def read_each_row(db: DbSession, _: CurrentPrincipal) -> int:
        """Execute one statement, and one for each row."""
        rows = (await db.execute(text("SELECT id FROM notes"))).all()
        for row in rows:
            await db.execute(text("SELECT text FROM notes WHERE id = :id"), {"id": row.id})
        return len(rows)

    add_library(app, Library())

    run = await statements_of_routes(api, app, queries)

    assert run.many[f"POST {BOOKS}"] == run.many[f"GET {BOOKS}"] == 1
    assert [fault.partition(":")[0] for fault in run.growing()] == ["GET /each-row"]
    branch = "GET /api/v1/library/branches/{branch}"
    assert {*run.refused} == {*REFUSED, branch}
    assert branch not in run.many
    assert run.recorded[branch] == "404 not_found"


class Patterned(RequestSchema):
    number: Annotated[str, Field(pattern=r"^97[89][0-9]{10}-[A-Z]$", examples=["9780441478125-A"])]


class Fixed(RequestSchema):
    number: Annotated[str, Field(pattern="^1$", examples=["1"])]


@dataclasses.dataclass
class Vouchers:
    """Rows with unique numbers. Their list executes a statement for each row that it shows."""

    shown: int | None = None
    numbers: list[str] = dataclasses.field(default_factory=list)

    def add(self, app: FastAPI, schema: Any, *, is_list: bool = True) -> None:
        async def create(data: Any, _: CurrentPrincipal) -> dict[str, Any]:
            """Create a voucher."""
            if data.number in self.numbers:
                raise ConflictError
            self.numbers.append(data.number)
            return {"data": {"public_id": str(uuid4())}}

        async def read(db: DbSession, _: CurrentPrincipal) -> dict[str, Any]:
            """Read the vouchers of everybody."""
            rows = [{"public_id": number} for number in self.numbers[: self.shown]]
            for _row in rows:
                await db.execute(text("SELECT 1"))
            return {"data": rows if is_list else {"number": 1}}

        create.__annotations__["data"] = schema
        app.post("/vouchers", status_code=201)(create)
        app.get("/vouchers")(read)
        app.openapi_schema = None


@on_sqlite
async def test_a_second_row_has_another_text_that_fits_the_pattern(
    api: Api, app: FastAPI, queries: StatementCounter
) -> None:
    vouchers = Vouchers()
    vouchers.add(app, Patterned)

    run = await statements_of_routes(api, app, queries)

    assert [fault.partition(":")[0] for fault in run.growing()] == ["GET /vouchers"]
    assert {*run.refused} == REFUSED


@on_sqlite
async def test_a_list_whose_second_row_is_refused_is_a_fault(
    api: Api, app: FastAPI, queries: StatementCounter
) -> None:
    Vouchers().add(app, Fixed)

    with pytest.raises(AssertionError, match="POST /vouchers: 409 conflict: cannot add a second"):
        await statements_of_routes(api, app, queries)


@on_sqlite
async def test_an_object_of_which_there_is_only_one_is_no_list(
    api: Api, app: FastAPI, queries: StatementCounter
) -> None:
    Vouchers(shown=0).add(app, Fixed, is_list=False)

    run = await statements_of_routes(api, app, queries)

    assert run.growing() == []
    assert run.recorded["POST /vouchers"] == "409 conflict"


@on_sqlite
async def test_a_list_that_shows_no_more_rows_than_before_is_a_fault(
    api: Api, app: FastAPI, queries: StatementCounter
) -> None:
    Vouchers(shown=1).add(app, Patterned)

    [fault] = (await statements_of_routes(api, app, queries)).growing()

    assert fault.startswith("GET /vouchers: shows 1 rows before and after more were created")


class Numbering(OwnApi):
    async def example_body(self, route: str, body: Any, account: Account) -> Any:
        return {"number": f"{account.email} {uuid4()}"} if route == "POST /vouchers" else body


class Numbered(RequestSchema):
    number: Annotated[str, Field(json_schema_extra={"pattern": "^1$"}, examples=["1"])]


@on_sqlite
async def test_a_project_gives_the_values_that_do_not_follow_from_the_schema(
    client: AsyncClient, database: Database, app: FastAPI, queries: StatementCounter
) -> None:
    vouchers = Vouchers()
    vouchers.add(app, Numbered)

    run = await statements_of_routes(Numbering(client, database), app, queries)

    assert [fault.partition(":")[0] for fault in run.growing()] == ["GET /vouchers"]
    assert all("@example.com " in number for number in vouchers.numbers)


@on_sqlite
async def test_an_object_that_cannot_be_created_is_named_unless_the_list_has_one(
    api: Api, app: FastAPI
) -> None:
    @app.get("/vouchers/{public_id}")
    async def read_voucher(public_id: str, _: CurrentPrincipal) -> str:
        """Read a voucher."""
        return public_id

    vouchers = Vouchers(numbers=["1"])
    vouchers.add(app, Fixed)
    caller = RouteCaller(api, app)
    assert (await caller.call("GET /vouchers/{public_id}", "user")).json() == "1"
    vouchers.shown = 0

    with pytest.raises(AssertionError, match="POST /vouchers: 409 conflict: cannot create an obj"):
        await RouteCaller(api, app).call("GET /vouchers/{public_id}", "user")


class Opinion(RequestSchema):
    book_id: Annotated[UUID, Field(examples=["01890a5d-0000-774b-bcce-b302099a8057"])]
    reader_id: Annotated[str, Field(examples=["any"])]


@on_sqlite
async def test_an_id_with_an_example_is_that_of_an_object_and_varies(
    api: Api, app: FastAPI
) -> None:
    library = Library()
    add_library(app, library)
    with_body(app, Opinion)
    caller = RouteCaller(api, app)

    bodies = [
        (await caller.prepare("POST /bodies", "user", varied=varied)).arguments["json"]
        for varied in (0, 0, 1, 2)
    ]

    first, again, other, another = [body["book_id"] for body in bodies]
    assert first == again
    created = {book["public_id"] for _, book in library.books.values()}
    assert created == {first, other, another}
    assert len(created) == 3
    assert bodies[0]["reader_id"] == "any"


@on_sqlite
async def test_an_id_that_is_no_uuid_is_named_with_the_remedy(
    app: FastAPI, tested_project: Project
) -> None:
    class Loan(RequestSchema):
        book_id: Annotated[str, Field(examples=["1"])]

    with_body(app, Loan)

    with pytest.raises(AssertionError, match="book_id is not a UUID: declare it as UUID"):
        DocumentChecks().test_ids_are_uuids(app.openapi(), tested_project)


@on_sqlite
async def test_recording_writes_the_file_and_then_passes(
    app: FastAPI, tested_project: Project, tmp_path: Path
) -> None:
    (tmp_path / "tests").mkdir()
    project = dataclasses.replace(tested_project, root=tmp_path)
    counts = dict.fromkeys(routes_of(app), 0)
    given: Any = {"app": app, "crawled": Crawled([], IntegerKeys(Base))}
    given |= {"tested_project": project, "statements": StatementRun(counts, counts)}

    with pytest.raises(AssertionError, match="to accept it: make record"):
        RecordChecks().test_routes_are_as_recorded(option(False), **given)
    RecordChecks().test_routes_are_as_recorded(option(True), **given)
    RecordChecks().test_routes_are_as_recorded(option(False), **given)


@on_sqlite
async def test_statements_of_a_refused_request_are_not_recorded(
    app: FastAPI, tested_project: Project, tmp_path: Path
) -> None:
    (tmp_path / "tests").mkdir()
    project = dataclasses.replace(tested_project, root=tmp_path)
    counts = dict.fromkeys(routes_of(app), 0)
    route = "GET /health"
    accepted = Answer(route, Response(200), "administrator")
    given: Any = {"app": app, "tested_project": project}
    given |= {"statements": StatementRun(counts, counts, {route: "409 conflict"})}
    record = RecordChecks().test_routes_are_as_recorded

    with pytest.raises(AssertionError, match="GET /health: 409 conflict: an administrator got 200"):
        record(option(True), crawled=Crawled([accepted], IntegerKeys(Base)), **given)
    record(option(True), crawled=Crawled([], IntegerKeys(Base)), **given)

    recorded = (tmp_path / "tests/recorded_routes.toml").read_text()
    assert f'"{route}" = {{ name = "health", statements = "409 conflict" }}' in recorded


def test_a_document_describes_problems_only_if_it_mentions_them() -> None:
    check = DocumentChecks().test_the_documented_problem_has_the_members_of_a_real_one
    content: dict[str, Any] = {"application/problem+json": {}}

    check({"components": {"schemas": {}}, "paths": {}})
    with pytest.raises(KeyError):
        check({"components": {"schemas": {}}, "paths": {"/": content}})


def option(value: bool) -> Any:
    """Return a request of pytest whose options all have this value."""
    return SimpleNamespace(config=SimpleNamespace(getoption=lambda _: value))


@on_sqlite
async def test_an_undocumented_response_is_a_fault(app: FastAPI) -> None:
    openapi = app.openapi()
    odd = Answer("GET /health/live", Response(418))
    bare = Answer("GET /api/v1/notes", Response(401, headers={"X-Odd": "1"}))

    assert undocumented(openapi, odd) == ["GET /health/live: 418 "]
    assert undocumented(openapi, bare) == ["GET /api/v1/notes: no body"]
    faults = header_faults(openapi, bare)
    assert "GET /api/v1/notes, 401: x-odd is not documented" in faults
    assert "GET /api/v1/notes, 401: x-request-id is missing" in faults


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ({"data": [1, 2], "meta": None}, 2),
        ({"articles": [1, 2, 3], "articlesCount": 3}, 3),
        ([1], 1),
        ({"article": {"tags": [1]}}, None),
        ({"id": 7, "tags": [1, 2]}, None),
        ({"name": "a", "tags": [1, 2]}, None),
        ({"user": {"tags": []}, "count": 1}, None),
    ],
)
def test_the_rows_of_a_list_are_found_in_any_envelope(body: Any, rows: int | None) -> None:
    assert shown_rows(Response(200, json=body)) == rows


# --- integer keys


@on_sqlite
async def test_random_bytes_that_equal_a_key_once_are_no_leak(
    app: FastAPI, crawler: Crawler
) -> None:
    answers, keys = await crawler(IntegerKeys(Base))
    equal = Answer("POST /tokens", Response(200, text=f"token {next(iter(keys.given))}"))
    found = Crawled([equal, *answers], keys)
    assert found.leaks() == {"POST /tokens": equal.response.text}

    await AnswerChecks().test_no_response_of_any_route_has_an_integer_key(app, found, crawler)


@on_sqlite
async def test_a_key_in_each_crawl_is_a_leak(app: FastAPI, crawler: Crawler) -> None:
    @app.get("/leak", responses={200: {"description": "The caller's key"}})
    async def leak(caller: CurrentPrincipal) -> int:
        """Return the caller's key."""
        return caller.user_id

    found = await crawler(IntegerKeys(Base))

    with pytest.raises(AssertionError, match="GET /leak"):
        await AnswerChecks().test_no_response_of_any_route_has_an_integer_key(app, found, crawler)
