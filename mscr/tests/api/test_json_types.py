"""Bodies accept exactly the documented JSON types, and generated bodies have readable names."""

import json
from datetime import date, time, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Any, Literal

import pytest
from fastapi import FastAPI, File, Form, UploadFile
from httpx2 import ASGITransport, AsyncClient
from pydantic import Discriminator, Field, JsonValue, Tag, ValidationError

from mscr.endpoints.import_rows import FileRefusedError, read_rows
from mscr.endpoints.row_format import RowFormat, encode, encode_head
from mscr.http.openapi import install_openapi
from mscr.schemas.base import (
    Day,
    ExactDecimal,
    Int32,
    Int64,
    JsonObject,
    Moment,
    RequestSchema,
    TimeOfDay,
)
from mscr.schemas.validation import TEXTS, InputModel
from mscr.testing.json_schema import SchemaReader


class Size(IntEnum):
    SMALL = 1


class Part(RequestSchema):
    count: Annotated[Int32, Field(ge=1, examples=[1])]


class Card(RequestSchema):
    method: Literal["card"]
    last_four: Int32


class Invoice(RequestSchema):
    method: Literal["invoice"]
    days: Int32


def method_of(payment: Any) -> Any:
    return payment.get("method") if isinstance(payment, dict) else payment.method


# As docs/fields.md recommends it.
Payment = Annotated[
    Annotated[Card, Tag("card")] | Annotated[Invoice, Tag("invoice")], Discriminator(method_of)
]


class PhotoForm(InputModel):
    label: str
    count: int
    photo: UploadFile


class Kit(RequestSchema):
    """A schema with one field of each type that FastAPI documents differently."""

    count: Annotated[Int32, Field(ge=1, examples=[1])] = 1
    weight: Annotated[float, Field(examples=[1.5])] = 1.5
    ready: bool = True
    day: Day = date(2027, 1, 31)
    any_day: date = date(2027, 1, 31)
    moment: Moment | None = None
    opens: time = time(12)
    closes: TimeOfDay = time(18)
    lasts: timedelta = timedelta(hours=1)
    size: Size = Size.SMALL
    prices: list[Annotated[Decimal, ExactDecimal(12, 2)]] = Field(default_factory=list)
    discount: Annotated[Decimal, ExactDecimal(4, 2), Field(examples=["1.50"])] | None = None
    stock: Int64 = 0
    counts: dict[str, int] = Field(default_factory=dict)
    numbers: list[int] = Field(default_factory=list)
    pair: tuple[int, str] = (1, "a")
    unique: set[int] = Field(default_factory=set)
    part: Part | None = None
    parts: dict[str, Part] = Field(default_factory=dict)
    payment: Payment | None = None
    free: JsonObject = Field(default_factory=dict)
    anything: JsonValue = None
    raw: bytes = b""


REFUSED: list[tuple[str, Any, list[str | int]]] = [
    ("count", "1", []),
    ("count", True, []),
    ("count", 0, []),
    ("count", 2**31, []),
    ("stock", 2**63, []),
    ("stock", -(2**63) - 1025, []),
    ("weight", "1.5", []),
    ("weight", True, []),
    ("ready", 1, []),
    ("ready", "true", []),
    ("day", 0, []),
    ("day", "0", []),
    ("day", "2027-01-31T00:00:00", []),
    ("any_day", 0, []),
    ("moment", 0, []),
    ("moment", "0", []),
    ("opens", 0, []),
    *(("closes", value, []) for value in (0, "0", "24:00:00", "18:00:00Z", "18:00:00+02:00")),
    ("lasts", 60, []),
    ("prices", [1.5], [0]),
    ("prices", ["1.50", "1.005"], [1]),
    ("discount", 1, []),
    ("counts", {"a": "1"}, []),
    ("numbers", [1, "2"], []),
    ("pair", ["1", "a"], []),
    ("unique", [1, "2"], []),
    ("part", {"count": "1"}, ["count"]),
    ("parts", {"a": {"count": True}}, ["a", "count"]),
    ("payment", {"method": "card", "last_four": "1"}, ["card", "last_four"]),
    ("payment", {"method": "card", "days": 14}, ["card", "last_four"]),
    ("payment", {"method": ["card"], "last_four": 1}, []),
    ("payment", {"last_four": 1}, []),
    ("free", [], []),
]
# Free-form JSON, and the location of its fault.
FAULTY_JSON: list[tuple[dict[str, Any], list[str | int]]] = [
    ({"a": float("nan")}, ["a"]),
    ({"a": [1, {"b": float("inf")}]}, ["a", 1, "b"]),
    ({"a": json.loads("[" * 300 + "]" * 300)}, ["a"]),
]
ACCEPTED: list[tuple[str, Any]] = [
    ("count", 2.0),
    ("weight", 2),
    ("day", "2027-01-31"),
    ("moment", "2027-01-31T12:00:00+02:00"),
    ("opens", "12:30:00"),
    *(("closes", value) for value in ("18:30", "18:30:00", "23:59:59.999999")),
    ("lasts", "PT1H"),
    ("size", 1),
    ("prices", ["1.50"]),
    ("discount", None),
    ("stock", 2**63 - 1),
    ("stock", -(2**63)),
    ("counts", {"a": 1}),
    ("numbers", [1, 2]),
    ("pair", [1, "a"]),
    ("unique", [1, 2]),
    ("part", {"count": 1}),
    ("payment", {"method": "invoice", "days": 14}),
    ("free", {"a": [True, 1, "1", None]}),
    ("anything", True),
    ("raw", "text"),
]


@pytest.fixture(scope="module")
def application() -> FastAPI:
    app = FastAPI()

    @app.post("/kits")
    async def take(kit: Kit) -> Kit:
        return kit

    @app.post("/photos", operation_id="upload_photo")
    async def upload(photo: UploadFile, label: Annotated[str, Form()]) -> None: ...

    @app.post("/scans", operation_id="upload_scans")
    async def upload_several(scans: list[UploadFile]) -> None: ...

    @app.post("/pairs", operation_id="send_pair")
    async def send(left: Part, right: Part) -> None: ...

    @app.post("/forms")
    async def fill_in(form: Annotated[PhotoForm, File()]) -> str:
        return f"{form.label} {form.count} {form.photo.size}"

    install_openapi(app)
    return app


@pytest.fixture(scope="module")
def documented(application: FastAPI) -> dict[str, Any]:
    return application.openapi()


@pytest.mark.parametrize(("field", "value", "place"), REFUSED)
def test_a_value_of_another_type_is_refused_as_documented(
    documented: dict[str, Any], field: str, value: Any, place: list[str | int]
) -> None:
    with pytest.raises(ValidationError) as refused:
        Kit.model_validate({field: value})

    first = refused.value.errors()[0]["loc"]
    assert list(first)[: 1 + len(place)] == [field, *place]
    assert SchemaReader(documented).faults(kit_of(documented), {field: value})


@pytest.mark.parametrize(("field", "value"), ACCEPTED)
def test_a_value_of_the_documented_type_is_accepted(
    documented: dict[str, Any], field: str, value: Any
) -> None:
    Kit.model_validate({field: value})

    # JSON has one type of number, in which 2.0 is an integer.
    shown = int(value) if isinstance(value, float) else value
    assert SchemaReader(documented).faults(kit_of(documented), {field: shown}) == []


def kit_of(documented: dict[str, Any]) -> dict[str, Any]:
    schemas = documented["components"]["schemas"]
    kit: dict[str, Any] = schemas.get("KitInput") or schemas["Kit"]
    return kit


@pytest.mark.parametrize(("value", "place"), FAULTY_JSON)
def test_a_fault_in_free_form_json_is_reported_with_its_location(
    value: dict[str, Any], place: list[str | int]
) -> None:
    with pytest.raises(ValidationError) as refused:
        Kit.model_validate({"free": value})

    assert [fault["loc"] for fault in refused.value.errors()] == [("free", *place)]


def test_a_decimal_that_may_be_null_keeps_its_example(documented: dict[str, Any]) -> None:
    discount, _ = kit_of(documented)["properties"]["discount"]["anyOf"]

    assert discount["examples"] == ["1.50"]


def test_strings_are_read_as_numbers_only_in_formats_without_types() -> None:
    assert Part.model_validate({"count": "3"}, context=TEXTS).count == 3
    assert read_rows(b"count\r\n3\r\n", RowFormat.CSV, Part)[0].count == 3
    with pytest.raises(FileRefusedError):
        read_rows(b'{"count": "3"}\n', RowFormat.NDJSON, Part)


def test_objects_and_lists_are_written_to_csv_and_read_again() -> None:
    class Row(RequestSchema):
        free: JsonObject
        sizes: list[int] | None = None
        label: str = ""
        ready: bool = True

    rows = [
        Row(free={"a": [1, None, 'é,"']}, sizes=[], label="[]", ready=False),
        Row(free={}, sizes=[2, 3], label='{"a": 1}'),
    ]
    content = encode_head(Row, RowFormat.CSV) + encode(rows, RowFormat.CSV)

    assert read_rows(content, RowFormat.CSV, Row) == rows


@pytest.mark.parametrize("cell", ["{'a': 1}", "[1]", "{", '{""a"": NaN}', '{""a"": ""\\u0000""}'])
def test_a_cell_that_is_no_valid_object_is_refused(cell: str) -> None:
    class Row(RequestSchema):
        free: JsonObject

    with pytest.raises(FileRefusedError) as refused:
        read_rows(f'free\r\n"{cell}"\r\n'.encode(), RowFormat.CSV, Row)

    assert [fault["loc"][:3] for fault in refused.value.errors or []] == [["body", 2, "free"]]


def test_generated_bodies_have_readable_names(documented: dict[str, Any]) -> None:
    names = documented["components"]["schemas"].keys()

    assert {"UploadPhotoBody", "SendPairBody", "Part"} <= names
    assert [name for name in names if not name.isalnum()] == []


def test_the_bounds_of_integers_are_documented_exactly(documented: dict[str, Any]) -> None:
    stock = json.dumps(kit_of(documented)["properties"]["stock"])

    assert '"exclusiveMaximum": 9223372036854775808,' in stock
    assert '"minimum": -9223372036854775808,' in stock


def test_files_of_forms_are_documented_as_binary_at_any_depth(
    documented: dict[str, Any],
) -> None:
    schemas = documented["components"]["schemas"]
    single = schemas["PhotoForm"]["properties"]["photo"]
    several = schemas["UploadScansBody"]["properties"]["scans"]["items"]

    assert (single["format"], several["format"]) == ("binary", "binary")


async def test_a_form_of_strings_and_a_file_is_one_model(
    application: FastAPI, documented: dict[str, Any]
) -> None:
    [kind] = documented["paths"]["/forms"]["post"]["requestBody"]["content"]
    assert kind == "multipart/form-data"

    async with AsyncClient(transport=ASGITransport(application), base_url="http://test") as client:
        files = {"photo": b"abc"}
        sent = {"label": "a", "count": "2"}
        answers = [
            await client.post("/forms", data=sent | change, files=files)
            for change in ({}, {"label": "\0"}, {"count": "two"}, {"other": "1"})
        ]
    assert [answer.status_code for answer in answers] == [200, 422, 422, 422]
    assert answers[0].json() == "a 2 3"
