"""Routes of many shapes, as your project may have: a library whose books are kept in memory."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI, File, Form, Request, UploadFile
from pydantic import Field

from examples.catalogue.core.permissions import Permission
from mscr.core.exceptions import ConflictError, ForbiddenError, NotFoundError, ValidationFailedError
from mscr.core.security.principal import Principal
from mscr.endpoints.callers import CurrentPrincipal
from mscr.endpoints.permissions import RecentPrincipal, require_permission, shared
from mscr.http.openapi import problem_responses
from mscr.http.routing import Router
from mscr.schemas.base import Day, ExactDecimal, JsonObject, RequestSchema
from mscr.schemas.validation import InputModel

PNG = "\x89PNG\r\n\x1a\n and more"
Text = Annotated[str, Field(max_length=40, examples=["Middlemarch"])]
Envelope = dict[str, Any]


class Author(RequestSchema):
    name: Text
    pseudonym: Text | None = None


class Paper(InputModel):
    kind: Literal["paper"]
    pages: Annotated[int, Field(examples=[880])]


class Audio(InputModel):
    kind: Literal["audio"]
    minutes: Annotated[int, Field(examples=[2100])]


class Chapter(RequestSchema):
    """Refers to itself, in two ways."""

    title: Text
    parts: list["Chapter"] = Field(default_factory=list)
    sequel: "Chapter | None" = None


class BookCreate(RequestSchema):
    slug: Text
    price: Annotated[Decimal, ExactDecimal(6, 2), Field(examples=["12.50"])]
    printed_on: Day
    author: Author
    editions: list[Annotated[Paper | Audio, Field(discriminator="kind")]]
    first_chapter: Chapter
    labels: Annotated[list[Text], Field(max_length=3)]
    extra: JsonObject


class BookWrapper(RequestSchema):
    """The envelope of another convention."""

    book: BookCreate


class ReviewCreate(RequestSchema):
    book_id: UUID
    reader_ids: list[UUID]
    stars: Annotated[int, Field(ge=1, le=5, examples=[4])]


class ShelfCreate(RequestSchema):
    label: Text
    note: Annotated[str, Field(examples=["A long text"])]


@dataclass
class Library:
    """The rows, and whether the routes look at the owner of a book."""

    is_careful: bool = True
    books: dict[str, tuple[int, Envelope]] = field(default_factory=dict)
    shelves: dict[str, Envelope] = field(default_factory=dict)
    reviewed: list[str] = field(default_factory=list)

    def book(self, slug: str, caller: Principal) -> Envelope:
        owner, book = self.books.get(slug, (0, {}))
        if not book or (self.is_careful and owner != caller.user_id):
            raise NotFoundError
        return book


def library_of(request: Request) -> Library:
    found: Library = request.app.state.library
    return found


Books = Annotated[Library, Depends(library_of)]
router = Router(
    prefix="/library",
    tags=["Items"],
    responses=problem_responses(NotFoundError, ValidationFailedError, ConflictError),
)


@router.post("/books", status_code=201)
async def create_book(data: BookWrapper, caller: CurrentPrincipal, library: Books) -> Envelope:
    """Create a book; slugs are unique."""
    slug = data.book.slug
    if slug in library.books:
        raise ConflictError
    book = {"slug": slug, "public_id": str(uuid4()), "loans": {}}
    library.books[slug] = (caller.user_id, book)
    return {"book": book}


@router.get("/books")
async def list_books(caller: CurrentPrincipal, library: Books) -> Envelope:
    """List books."""
    return {"books": [book for _, book in library.books.values()]}


@router.get("/books/{slug}")
async def get_book(slug: str, caller: CurrentPrincipal, library: Books) -> Envelope:
    """Get a book."""
    return {"book": library.book(slug, caller)}


@router.put("/books/{slug}/cover", status_code=204)
async def set_cover(
    slug: str,
    caller: CurrentPrincipal,
    cover: Annotated[UploadFile, File(examples=[PNG])],
    title: Annotated[str, Form(examples=["Front"])],
    width: Annotated[int, Form(examples=[300])],
    library: Books,
) -> None:
    """Upload a cover."""
    library.book(slug, caller)
    if await cover.read() != PNG.encode("latin-1") or (title, width) != ("Front", 300):
        raise ValidationFailedError("no image", loc=("body", "cover"), error_type="image")


@router.post("/books/{slug}/loans", status_code=201)
async def lend(slug: str, caller: CurrentPrincipal, library: Books) -> Envelope:
    """Lend a book."""
    book = library.book(slug, caller)
    loan = {"id": str(len(book["loans"]) + 1)}
    book["loans"][loan["id"]] = loan
    return {"data": loan}


@router.delete("/books/{slug}/loans/{loan_id}", status_code=204)
async def end_loan(slug: str, loan_id: str, caller: CurrentPrincipal, library: Books) -> None:
    """End a loan."""
    if library.book(slug, caller)["loans"].pop(loan_id, None) is None:
        raise NotFoundError


@router.get("/books/{slug}/summary")
@shared()
async def summarize(slug: str, _: CurrentPrincipal, library: Books) -> Envelope:
    """Show anybody's book."""
    if slug not in library.books:
        raise NotFoundError
    return {"slug": slug}


@router.post("/reviews", status_code=201)
async def review(data: ReviewCreate, caller: CurrentPrincipal, library: Books) -> Envelope:
    """Review a book of the caller."""
    mine = [book for owner, book in library.books.values() if owner == caller.user_id]
    if str(data.book_id) not in {book["public_id"] for book in mine}:
        raise NotFoundError
    library.reviewed.append(str(data.book_id))
    return {"data": {"public_id": str(uuid4())}}


@router.post("/shelves", status_code=201, responses=problem_responses(ForbiddenError))
async def create_shelf(
    data: ShelfCreate,
    _: Annotated[Principal, require_permission(Permission.USERS_MANAGE)],
    library: Books,
) -> Envelope:
    """Create a shelf."""
    shelf = {"public_id": str(uuid4())}
    library.shelves[shelf["public_id"]] = shelf
    return {"data": shelf}


@router.get("/shelves/{shelf_id}")
async def get_shelf(shelf_id: UUID, _: CurrentPrincipal, library: Books) -> Envelope:
    """Get a shelf, which belongs to nobody."""
    if str(shelf_id) not in library.shelves:
        raise NotFoundError
    return library.shelves[str(shelf_id)]


@router.get("/reports/{year}")
async def get_report(
    year: Annotated[int, Field(examples=[2026])], _: RecentPrincipal, since: date | None = None
) -> Envelope:
    """Get a report of a year."""
    return {"year": year}


@router.get("/branches/{branch}")
async def get_branch(branch: str) -> Envelope:
    """Find no branch: there is neither a list of them nor one to create them."""
    raise NotFoundError


def add_library(app: FastAPI, library: Library) -> None:
    """Add the routes to an application."""
    app.state.library = library
    app.include_router(router, prefix="/api/v1")
    app.openapi_schema = None
