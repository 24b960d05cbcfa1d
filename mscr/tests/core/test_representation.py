"""A representation that a service kept is that of one object and of one schema."""

from dataclasses import dataclass

from mscr.http.representation import Representations
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
