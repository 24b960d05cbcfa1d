"""The search for integer keys finds them in every encoding."""

import base64

import pytest
from httpx2 import Response
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from examples.catalogue.models.base import Base
from mscr.models.base import ModelBase
from mscr.testing.integer_keys import FIRST, STEP, IntegerKeys


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


CLAIMS = b'{"sub": %d}' % FIRST
POSITION = b'["a", %d]' % FIRST
HIDING_PLACES = [
    Response(200, json={"data": {"id": FIRST}}),
    Response(200, text=f"/items/{FIRST:x}"),
    Response(201, headers={"Location": f"/items/{FIRST}"}),
    Response(200, text=".".join(encoded(part) for part in (b"{}", CLAIMS, b"x" * 32))),
    Response(200, json={"meta": {"next_cursor": encoded(b"x" * 16 + POSITION)}}),
    Response(200, text=encoded(b"id" + FIRST.to_bytes(8, "big") + b"mac")),
]


@pytest.mark.parametrize("response", HIDING_PLACES)
def test_finds_a_key_in_a_response(response: Response) -> None:
    keys = IntegerKeys(Base)
    keys.given = {FIRST}
    assert keys.found_in(response) == {FIRST}


def test_finds_no_key_in_a_response_without_one() -> None:
    keys = IntegerKeys(Base)
    keys.given = {FIRST}
    assert keys.found_in(Response(200, json={"id": FIRST + 1, "token": "AAAA" * 20})) == set()


def test_every_row_gets_a_unique_key() -> None:
    class Own(ModelBase, DeclarativeBase): ...

    class Note(Own):
        __tablename__ = "notes"
        id: Mapped[int] = mapped_column(primary_key=True)

    engine = create_engine("sqlite://")
    Own.metadata.create_all(engine)
    with IntegerKeys(Own).installed() as keys, Session(engine) as session:
        session.add_all([Note(), Note()])
        session.flush()

        assert set(session.scalars(select(Note.id))) == keys.given == {FIRST, FIRST + STEP}
    engine.dispose()


def test_keys_that_a_contract_shows_are_not_recorded() -> None:
    class Own(ModelBase, DeclarativeBase): ...

    class Comment(Own):
        __tablename__ = "comments"
        id: Mapped[int] = mapped_column(primary_key=True)

    engine = create_engine("sqlite://")
    Own.metadata.create_all(engine)
    with IntegerKeys(Own, {"comments"}).installed() as keys, Session(engine) as session:
        session.add(Comment())
        session.flush()

        assert list(session.scalars(select(Comment.id))) == [FIRST]
        assert keys.given == set()
    engine.dispose()
