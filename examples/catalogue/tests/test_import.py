"""Imports of files: all lines or nothing, with a report of what is wrong with which line."""

import csv
import io
import json
from contextlib import suppress
from typing import Any

import pytest
from httpx2 import Response
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from examples.catalogue.db.session import Database
from examples.catalogue.schemas.item_schemas import ItemRow
from examples.catalogue.tests.api import Api
from mscr.endpoints.import_rows import MAX_IMPORT_ROWS, FileRefusedError, read_rows
from mscr.endpoints.row_format import RowFormat, encode, encode_head
from mscr.schemas.problem_schemas import MAX_FAULTS
from mscr.testing.api import Account
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import faulty_fields, problem
from mscr.testing.table_rows import all_rows

ITEMS = "/api/v1/items"
IMPORT = f"{ITEMS}/import"
CSV = "text/csv"
NDJSON = "application/x-ndjson"

Fault = tuple[list[str | int], str]


async def send(
    api: Api, caller: Account, content: str | bytes, kind: str = CSV, query: str = "", **more: str
) -> Response:
    headers = caller.headers | {"Content-Type": kind, **more}
    return await api.client.post(f"{IMPORT}{query}", content=content, headers=headers)


def faults(response: Response) -> list[Fault]:
    body = problem(response, 422, "file_refused")
    return [(fault["loc"][1:], fault["type"]) for fault in body["errors"]]


async def own_items(api: Api, owner: Account) -> list[dict[str, Any]]:
    path = f"{ITEMS}/my?sort=title&per_page=100"
    rows: list[dict[str, Any]] = (await api.client.get(path, headers=owner.headers)).json()["data"]
    return rows


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (CSV, "title,description,status\r\na,,active\r\nb,two,\r\n"),
        (CSV, '\ufeffdescription,"title"\n"",a\n\ntwo,"b"'),
        (CSV, "\n\r\ntitle,description\n\na,\nb,two\n\n"),
        (f"{CSV}; charset=UTF-8", 'title,description\ra,\rb,"two"\r'),
        (NDJSON, '{"title": "a"}\n\n{"title": "b", "description": "two"}'),
        (
            NDJSON,
            '\ufeff{"title": "a", "description": null}\r\n{"description":"two","title":"b"}\r\n',
        ),
    ],
)
async def test_every_line_of_a_good_file_becomes_an_item_of_the_caller(
    api: Api, kind: str, content: str
) -> None:
    owner = await api.register()
    dry = await send(api, owner, content, kind, "?dry_run=true")
    assert (dry.status_code, dry.json()["data"]) == (200, {"rows": 2, "dry_run": True})
    assert await own_items(api, owner) == []

    response = await send(api, owner, content, kind)
    assert response.status_code == 201, response.text
    assert response.json()["data"] == {"rows": 2, "dry_run": False}
    found = await own_items(api, owner)
    assert [(item["title"], item["description"]) for item in found] == [("a", None), ("b", "two")]
    assert {item["owner_public_id"] for item in found} == {owner.public_id}


async def test_each_format_has_a_route_of_its_own_for_generated_clients(api: Api) -> None:
    """Generated clients send one media type per operation; the first route accepts both."""
    owner = await api.register()
    path, headers = f"{IMPORT}/ndjson", owner.headers | {"Content-Type": NDJSON}
    good = await api.client.post(path, content='{"title": "a"}', headers=headers)
    csv = await api.client.post(
        path, content="title\na", headers=owner.headers | {"Content-Type": CSV}
    )

    assert good.status_code == 201
    assert NDJSON in problem(csv, 415, "unsupported_media_type")["detail"]


# The media type, the file, and its faults: the line with the field or column.
BROKEN: list[tuple[str, str | bytes, list[Fault]]] = [
    (CSV, "", [([1], "no_rows")]),
    (CSV, "\n\n", [([1], "no_rows")]),
    (CSV, "\n\r\nname\na", [([3, "name"], "csv_columns")]),
    (CSV, " \ntitle\na", [([1, " "], "csv_columns")]),
    (CSV, "title\n", [([1], "no_rows")]),
    (CSV, "title,name\na,b", [([1, "name"], "csv_columns")]),
    (CSV, "title,description,title\na,b,c", [([1, "title"], "csv_columns")]),
    (CSV, "title;description\na;b", [([1, "title;description"], "csv_columns")]),
    (CSV, "title,is_deleted\na,true", [([1, "is_deleted"], "csv_columns")]),
    (CSV, "title,owner_id\na,1", [([1, "owner_id"], "csv_columns")]),
    (CSV, "description\na", [([2, "title"], "missing")]),
    (CSV, "title,description\na\nb,c,d\ne,f", [([2], "csv_cells"), ([3], "csv_cells")]),
    (CSV, "title,description\na,", []),
    (CSV, 'title\n"a\nb"c\nd', [([3], "csv_quote")]),
    (CSV, 'title\na\nb"c\nd', [([3], "csv_quote")]),
    (CSV, 'title\na\n"b', [([3], "csv_quote")]),
    (CSV, 'title\n"a\n\nb"\n\n" "\n,', [([6, "title"], "string_too_short"), ([7], "csv_cells")]),
    (CSV, "title\na\0", [([2, "title"], "string_nul")]),
    (CSV, b"title\na\nb\xff", [([3], "encoding")]),
    (CSV, "title\na".encode("utf-16"), [([1], "encoding")]),
    (CSV, "title,status\na,none", [([2, "status"], "enum")]),
    (NDJSON, "", [([1], "no_rows")]),
    (NDJSON, '{"title": "a"}\n{"title": 1}\n{"title": ""}', [
        ([2, "title"], "string_type"), ([3, "title"], "string_too_short"),
    ]),
    (NDJSON, '{"title": "a", "owner_id": 1}', [([1, "owner_id"], "extra_forbidden")]),
    (NDJSON, '\n[]\n"a"\nnull\n{', [
        ([2], "json_object"), ([3], "json_object"), ([4], "json_object"), ([5], "json_invalid"),
    ]),
    (NDJSON, '[{"title": "a"}]', [([1], "json_object")]),
    (NDJSON, '{"title": NaN}', [([1], "json_invalid")]),
    (NDJSON, "[" * 100_000, [([1], "json_invalid")]),
    (NDJSON, '{"title": "\\ud800"}', [([1], "json_invalid")]),
    (NDJSON, b'{"title": "\xff"}', [([1], "json_invalid")]),
    (NDJSON, '{"title": "a\\u0000"}', [([1, "title"], "string_nul")]),
]  # fmt: skip


async def test_a_bad_line_is_reported_and_its_file_is_not_imported(
    api: Api, database: Database
) -> None:
    """IN2, IN3, AZ4, RL19."""
    owner = await api.register()
    before = await all_rows(database)
    for kind, content, expected in BROKEN:
        response = await send(api, owner, content, kind, "?dry_run=true" if not expected else "")
        if expected:
            assert faults(response) == expected, content
    assert await all_rows(database) == before


@on_sqlite
@pytest.mark.parametrize(
    ("content", "detail", "message"),
    [
        ("", "there are no rows.", "There should be rows in the file"),
        ("title\n", "there are no rows.", "There should be rows in the file"),
        ('title\na\n"b', "1 of its lines is not valid.", "This quote is never closed"),
        ('title\na\n"b"c', "1 of its lines is not valid.", "A quote is not allowed here"),
        (
            "title;status\na;b",
            "is not valid.",
            "There is no such column: cells are separated by commas",
        ),
        (
            "title\tstatus\na",
            "is not valid.",
            "There is no such column: cells are separated by commas",
        ),
        ("title,a;b\na,b", "is not valid.", "There is no such column"),
    ],
)
async def test_the_problem_of_a_bad_file_explains_its_fault(
    api: Api, content: str, detail: str, message: str
) -> None:
    body = problem(await send(api, await api.register(), content), 422, "file_refused")
    assert body["detail"].startswith("Nothing was imported: ")
    assert body["detail"].endswith(detail)
    assert body["errors"][0]["msg"] == message


@on_sqlite
async def test_very_many_faults_are_all_counted_but_only_some_reported(api: Api) -> None:
    """RL19."""
    owner = await api.register()
    response = await send(api, owner, "title\n" + "\n".join([" "] * 4000))
    assert len(faults(response)) == MAX_FAULTS
    assert "4000 of its lines" in response.json()["detail"]
    wide = await send(api, owner, f"title,{'x' * 10_000}\na,b")
    assert len(wide.content) < 1000


@on_sqlite
async def test_too_many_rows_are_refused(api: Api, database: Database) -> None:
    """IN6."""
    owner = await api.register()
    rows = [json.dumps({"title": str(n)}) for n in range(MAX_IMPORT_ROWS + 1)]
    before = await all_rows(database)
    refused = await send(api, owner, "\n".join(rows), NDJSON)
    assert faults(refused) == [([MAX_IMPORT_ROWS + 1], "too_many_rows")]
    assert await all_rows(database) == before
    assert (await send(api, owner, "\n".join(rows[1:]), NDJSON)).status_code == 201


@on_sqlite
async def test_a_file_of_another_media_type_is_refused(api: Api) -> None:
    """IN5."""
    owner = await api.register()
    for kind in ("", "application/json", "text/plain", f"{CSV}; charset=latin-1", "multipart/x"):
        response = await send(api, owner, "title\na", kind)
        problem(response, 415, "unsupported_media_type")


@on_sqlite
@pytest.mark.settings(MAX_BODY_BYTES=1024)
async def test_a_file_that_is_too_large_is_refused(api: Api) -> None:
    """IN1."""
    owner = await api.register()
    problem(await send(api, owner, "title\n" + "a" * 1024), 413, "payload_too_large")


async def test_a_repeated_file_is_imported_once(api: Api) -> None:
    """RC3."""
    owner, key = await api.register(), {"Idempotency-Key": "k"}
    first = await send(api, owner, "title\na", **key)
    again = await send(api, owner, "title\na", **key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert len(await own_items(api, owner)) == 1


@on_sqlite
async def test_an_unknown_or_repeated_option_imports_nothing(api: Api, database: Database) -> None:
    """A misspelt `dry_run` must not write."""
    owner = await api.register()
    before = await all_rows(database)
    for query, name in (
        ("?dryrun=true", "dryrun"),
        ("?dry-run=true", "dry-run"),
        ("?dry_run=true&Dry_run=true", "Dry_run"),
        ("?dry_run=maybe", "dry_run"),
        ("?dry_run=true&dry_run=false", "dry_run"),
        ("?dry_run=true&dry_run=true", "dry_run"),
    ):
        assert faulty_fields(await send(api, owner, "title\na", query=query)) == [["query", name]]
    assert await all_rows(database) == before


@pytest.mark.parametrize(("kind", "name"), [(CSV, "csv"), (NDJSON, "ndjson")])
async def test_an_export_can_be_imported_by_another_account(api: Api, kind: str, name: str) -> None:
    """AZ4: the importer becomes the owner, and the rows get new ids."""
    owner, taker = await api.register(), await api.register()
    texts = ["=1+1", "'=1", "''", "-", "@x", 'a "b", c;\r\nd\re\nf', "\ufeffü", "'", "a'"]
    for text in texts:
        await api.create_item(owner, title=text, description=text, status="archived")
    await api.create_item(owner, title="zero", description="")
    exported = await api.client.get(f"{ITEMS}/export?format={name}", headers=owner.headers)

    assert (await send(api, taker, exported.content, kind)).status_code == 201
    fields = ("title", "description", "status")
    before, after = await own_items(api, owner), await own_items(api, taker)
    assert sorted(str([i[f] for f in fields]) for i in after) == sorted(
        str([i[f] for f in fields]) for i in before
    )
    assert not {item["public_id"] for item in before} & {item["public_id"] for item in after}
    assert {item["owner_public_id"] for item in after} == {taker.public_id}


TEXTS = st.text(
    st.one_of(
        st.characters(codec="utf-8", exclude_characters="\0"), st.sampled_from("'=+-@\"\r\n\t,;")
    ),
    max_size=20,
)
ROWS = st.builds(ItemRow, title=TEXTS.map("a{}b".format), description=st.none() | TEXTS)
# Titles that bypass validation, which would trim white space: any text at all.
RAW_ROWS = st.builds(
    lambda row, title: row.model_copy(update={"title": title}),
    ROWS,
    TEXTS.filter(lambda text: text.strip() == text != ""),
)


# On a busy machine, making the first rows takes seconds.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@unhurried
@given(st.lists(RAW_ROWS, min_size=1, max_size=5), st.sampled_from(RowFormat))
def test_any_row_is_read_as_it_was_written(rows: list[ItemRow], row_format: RowFormat) -> None:
    content = encode_head(ItemRow, row_format) + encode(rows, row_format)
    assert read_rows(content, row_format, ItemRow) == rows


@unhurried
@given(st.lists(RAW_ROWS, min_size=1, max_size=5))
@example([ItemRow(title='"=', description='a","=b')])
def test_no_cell_is_a_formula(rows: list[ItemRow]) -> None:
    content = io.StringIO(encode(rows, RowFormat.CSV).decode(), newline="")
    for cells in csv.reader(content):
        assert all(cell[:1] not in set("=+-@\t\r\n") for cell in cells)


@unhurried
@given(st.text(st.sampled_from("a,\"\r\n'="), max_size=40), st.binary(max_size=20))
def test_any_content_is_read_or_refused(text: str, junk: bytes) -> None:
    """IN3."""
    for row_format in RowFormat:
        for content in (f"title,description\n{text}".encode(), junk, text.encode() + junk):
            with suppress(FileRefusedError):
                assert read_rows(content, row_format, ItemRow) != []
