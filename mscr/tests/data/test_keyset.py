"""Keyset pagination with nulls, ties and both directions: cursors and page numbers agree."""

import itertools
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from examples.catalogue.models.user import User
from mscr.queries.cursors import CursorCodec
from mscr.queries.pagination import Page, Pager
from mscr.queries.paging import SortColumns
from mscr.repositories.base import BaseRepository
from mscr.schemas.list_schemas import ListQuery, sort_field
from mscr.tests.data.conftest import make_user

SORTABLE: SortColumns = {"full_name": User.full_name, "email": User.email_key}
NAMES = [None, "a", "b", "a", None, "b", None]
SORTS = [
    ",".join(sign + column for sign, column in zip(signs, columns, strict=True))
    for columns in (("full_name",), ("full_name", "email"), ("email", "full_name"))
    for signs in itertools.product(("", "-"), repeat=len(columns))
]
PAGER = Pager(CursorCodec([b"k" * 32]))


class NamedQuery(ListQuery):
    sort: str = sort_field("full_name", "email", default="full_name")


@pytest.fixture
async def users(session: AsyncSession) -> list[User]:
    made = [make_user(f"{number}@example.com") for number in range(len(NAMES))]
    for user, name in zip(made, NAMES, strict=True):
        user.full_name = name
    session.add_all(made)
    await session.commit()
    return made


async def page_of(session: AsyncSession, **query: Any) -> Page[User]:
    request = PAGER.page_request(NamedQuery(**query), "users", "viewer")
    repository = BaseRepository(User, session)
    found = await repository._paginate(repository._select(), request, SORTABLE)
    return PAGER.page(found, request)


def in_order(users: list[User], sort: str) -> list[User]:
    """Sort in Python as the query should: null is greater than any name."""
    keys = sort.split(",")
    keys.append("-public_id" if keys[-1].startswith("-") else "public_id")
    for key in reversed(keys):
        users = sorted(users, key=lambda u: _comparable(u, key), reverse=key.startswith("-"))
    return users


def _comparable(user: User, key: str) -> tuple[bool, str]:
    value = getattr(user, key.lstrip("-"))
    return value is None, value or ""


@pytest.mark.parametrize("sort", SORTS)
async def test_nulls_sort_last_ascending_and_first_descending(
    session: AsyncSession, users: list[User], sort: str
) -> None:
    expected = [user.email for user in in_order(users, sort)]

    by_page = [user.email for user in (await page_of(session, sort=sort)).items]
    walked: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await page_of(session, sort=sort, cursor=cursor, limit=2)
        walked += [user.email for user in page.items]
        cursor = getattr(page.meta, "next_cursor")  # noqa: B009  # only one of the two kinds of meta has it

    assert (by_page, walked) == (expected, expected)
