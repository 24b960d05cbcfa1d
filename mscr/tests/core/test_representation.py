"""A representation that a service kept is that of one object and of one schema; its location."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from mscr.http.representation import Representation, Representations
from mscr.schemas.base import ResponseSchema


@dataclass
class Note:
    title: str


class Shown(ResponseSchema):
    title: str


class ShownToOthers(ResponseSchema):
    title: str


def test_the_representation_of_the_same_object_is_found() -> None:
    kept = Representations()
    note = Note("a")
    made = kept.make(note, Shown)

    assert kept.find(note, Shown) is made


def test_nothing_is_found_before_a_representation_is_made() -> None:
    assert Representations().find(Note("a"), Shown) is None


def test_an_equal_object_does_not_get_the_representation_of_another() -> None:
    kept = Representations()
    kept.make(Note("a"), Shown)

    assert kept.find(Note("a"), Shown) is None


def test_another_schema_does_not_get_the_representation_of_the_same_object() -> None:
    kept = Representations()
    note = Note("a")
    kept.make(note, Shown)

    assert kept.find(note, ShownToOthers) is None


PUBLIC_ID = "01a2314b-0494-7339-9e26-5da76f16aa7c"


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/notes", f"/notes/{PUBLIC_ID}"),
        ("/boards/01890a5d-ac96-774b-bcce-b302099a8057/notes", None),
        (f"/notes/{PUBLIC_ID}/lines", f"/notes/{PUBLIC_ID}"),
        (f"/notes/{PUBLIC_ID.upper()}/lines/1/parts", f"/notes/{PUBLIC_ID}"),
        (f"/notes/{PUBLIC_ID.replace('-', '')}/lines", f"/notes/{PUBLIC_ID}"),
    ],
)
def test_the_location_of_a_part_is_that_of_the_object_above_it(
    path: str, location: str | None
) -> None:
    note = SimpleNamespace(title="a", public_id=PUBLIC_ID)

    headers = Representation(note, Shown).created_headers(path)

    assert headers == {"Location": location or f"{path}/{PUBLIC_ID}"}
