"""A reference server: the same responses by the shortest path, FastAPI, asyncpg and PyJWT only.

It verifies tokens and their sessions in the same way. It leaves out all else that the application
does: request ids, limits, logs, problem responses, the audit log. The ratio of the application's
speed to this server's is the cost of its layers. The benchmark starts it on its own database:

    python -m uvicorn benchmarks.reference:app
"""

import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import asyncpg
import jwt
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Json
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from uuid_utils.compat import uuid7

from examples.catalogue.core.config import get_settings
from mscr.core.security import keys
from mscr.core.security.key_ring import KeyRing
from mscr.core.security.refresh_token import RefreshTokenCodec

POOL_SIZE: Final = 20
REQUIRED: Final = ["iss", "aud", "sub", "sid", "jti", "iat", "exp"]

LIVE: Final = """
    t.expires_at > $2 AND t.revoked_at IS NULL AND NOT t.is_deleted
    AND u.is_active AND NOT u.is_deleted AND u.auth_version = t.auth_version
"""
PRINCIPAL: Final = f"""
    SELECT u.id, u.public_id FROM refresh_tokens t JOIN users u ON u.id = t.user_id
    WHERE t.public_id = $1 AND u.public_id = $3 AND {LIVE}
"""  # noqa: S608  # constants only
ME: Final = PRINCIPAL.replace(
    "u.id, u.public_id",
    "u.public_id, u.created_at, u.updated_at, u.email, u.full_name, u.affiliation, u.role, "
    "u.is_active, u.email_verified_at",
)
VISIBLE: Final = "NOT i.is_deleted AND (i.status = 'active' OR i.owner_id = $1)"
COLUMNS: Final = """
    i.public_id, i.created_at, i.updated_at, i.title, i.description, i.status,
    o.public_id AS owner_public_id
"""
ONE_ITEM: Final = f"""
    SELECT {COLUMNS}, (
        SELECT coalesce(json_agg(t ORDER BY t.name_key), '[]') FROM item_tags l
        JOIN tags t ON t.id = l.tag_id WHERE l.item_id = i.id AND NOT t.is_deleted
    ) AS tags
    FROM items i JOIN users o ON o.id = i.owner_id WHERE i.public_id = $2 AND {VISIBLE}
"""  # noqa: S608  # constants only
# The tags of a page at once: a subquery for each item took PostgreSQL a third longer. The benchmark
# has few visible items, so reading them all is the fastest; with many, it would not be.
PAGE: Final = f"""
    WITH i AS (
        SELECT * FROM items i WHERE {VISIBLE} ORDER BY created_at DESC, public_id DESC LIMIT $2
    ), tagged AS (
        SELECT l.item_id, json_agg(t ORDER BY t.name_key) AS tags
        FROM i JOIN item_tags l ON l.item_id = i.id JOIN tags t ON t.id = l.tag_id
        WHERE NOT t.is_deleted GROUP BY l.item_id
    )
    SELECT {COLUMNS}, coalesce(tags, '[]') AS tags
    FROM i JOIN users o ON o.id = i.owner_id LEFT JOIN tagged ON tagged.item_id = i.id
    ORDER BY i.created_at DESC, i.public_id DESC
"""  # noqa: S608  # constants only
COUNT: Final = f"SELECT count(*) FROM items i WHERE {VISIBLE}"  # noqa: S608  # constants only
CREATE: Final = """
    INSERT INTO items (public_id, title, description, status, owner_id, is_deleted,
                       created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, false, $6, $6)
    RETURNING public_id, created_at, updated_at, title, description, status, '[]' AS tags
"""
NOTE: Final = "n.public_id, n.created_at, n.updated_at, n.text"
OWN: Final = "NOT n.is_deleted AND n.owner_id = $1"
ONE_NOTE: Final = f"SELECT {NOTE} FROM notes n WHERE n.public_id = $2 AND {OWN}"  # noqa: S608  # constants only
NOTES: Final = f"""
    SELECT {NOTE} FROM notes n WHERE {OWN} ORDER BY n.created_at DESC, n.public_id DESC LIMIT $2
"""  # noqa: S608  # constants only
COUNT_NOTES: Final = f"SELECT count(*) FROM notes n WHERE {OWN}"  # noqa: S608  # constants only
CREATE_NOTE: Final = """
    INSERT INTO notes (public_id, text, owner_id, is_deleted, created_at, updated_at)
    VALUES ($1, $2, $3, false, $4, $4) RETURNING public_id, created_at, updated_at, text
"""
FAMILY: Final = f"""
    SELECT t.id, t.public_id, t.seed, t.expires_at, u.public_id AS user_public_id
    FROM refresh_tokens t JOIN users u ON u.id = t.user_id
    WHERE t.public_id = $1 AND t.idle_expires_at > $2 AND {LIVE}
"""  # noqa: S608  # constants only
ROTATE: Final = """
    UPDATE refresh_tokens SET generation = generation + 1, rotated_at = $3, answered_at = $3,
           idle_expires_at = $4 WHERE id = $1 AND generation = $2 RETURNING generation
"""


class UserOut(BaseModel):
    public_id: UUID
    created_at: datetime
    updated_at: datetime
    email: str
    full_name: str | None
    affiliation: str | None
    role: str
    is_active: bool
    email_verified_at: datetime | None


class ItemIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str
    description: str | None = None
    status: Literal["draft", "active", "archived"] = "draft"


class TagOut(BaseModel):
    public_id: UUID
    name: str


class ItemOut(BaseModel):
    public_id: UUID
    created_at: datetime
    updated_at: datetime
    title: str
    description: str | None
    status: str
    owner_public_id: UUID
    tags: Json[list[TagOut]]


class NoteIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str


class NoteOut(BaseModel):
    public_id: UUID
    created_at: datetime
    updated_at: datetime
    text: str


class TokensIn(BaseModel):
    refresh_token: str


class TokensOut(BaseModel):
    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # RFC 6750's word
    expires_in: int


class UserAnswer(BaseModel):
    success: Literal[True] = True
    data: UserOut
    message: None = None
    meta: None = None


class ItemAnswer(BaseModel):
    success: Literal[True] = True
    data: ItemOut
    message: None = None
    meta: None = None


class PageOut(BaseModel):
    page: int
    per_page: int
    total: int
    total_relation: Literal["eq"] = "eq"
    pages: int


class ItemsAnswer(BaseModel):
    success: Literal[True] = True
    data: list[ItemOut]
    message: None = None
    meta: PageOut


class NoteAnswer(BaseModel):
    success: Literal[True] = True
    data: NoteOut
    message: None = None
    meta: None = None


class NotesAnswer(BaseModel):
    success: Literal[True] = True
    data: list[NoteOut]
    message: None = None
    meta: PageOut


class TokensAnswer(BaseModel):
    success: Literal[True] = True
    data: TokensOut
    message: None = None
    meta: None = None


settings = get_settings()
ring = KeyRing.from_settings(settings)
codec = RefreshTokenCodec(
    keys.derive_keys(settings.SECRET_KEY, settings.SECRET_KEY_PREVIOUS, keys.REFRESH_TOKEN)
)
decoder = jwt.PyJWT({"enforce_minimum_key_length": True, "require": REQUIRED})


async def leave_as_it_is(_: asyncpg.Connection) -> None:
    """Skip asyncpg's reset, a round trip for each request: no code here changes a connection."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    # SQLAlchemy parses the URL: it is in SQLAlchemy's format. The function has no annotations.
    dialect: Any = PGDialect_asyncpg
    _, address = dialect().create_connect_args(settings.database_url)
    async with asyncpg.create_pool(
        **address, min_size=POOL_SIZE, max_size=POOL_SIZE, reset=leave_as_it_is
    ) as pool:
        app.state.pool = pool
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        yield


app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)


async def claims_of(request: Request) -> dict[str, Any]:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        header = jwt.get_unverified_header(token)
        if scheme.lower() != "bearer" or header.get("typ") != "at+jwt" or "crit" in header:
            raise jwt.InvalidTokenError
        claims: dict[str, Any] = decoder.decode(
            token,
            ring.verification_keys[header["kid"]],
            algorithms=[ring.algorithm.value],
            audience=settings.JWT_AUDIENCE,
            issuer=settings.JWT_ISSUER,
            leeway=settings.JWT_LEEWAY_SECONDS,
            options={"strict_aud": True},
        )
    except (jwt.PyJWTError, KeyError):
        raise HTTPException(401) from None
    return claims


Claims = Annotated[dict[str, Any], Depends(claims_of)]


async def principal_of(request: Request, claims: Claims) -> asyncpg.Record:
    now = datetime.now(UTC)
    row = await request.app.state.pool.fetchrow(PRINCIPAL, claims["sid"], now, claims["sub"])
    if row is None:
        raise HTTPException(401)
    return row


Caller = Annotated[asyncpg.Record, Depends(principal_of)]


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/api/v1/users/me")
async def me(request: Request, claims: Claims) -> UserAnswer:
    now = datetime.now(UTC)
    row = await request.app.state.pool.fetchrow(ME, claims["sid"], now, claims["sub"])
    if row is None:
        raise HTTPException(401)
    return UserAnswer(data=UserOut(**row))


@app.get("/api/v1/items/{public_id}")
async def item(request: Request, public_id: UUID, caller: Caller) -> ItemAnswer:
    row = await request.app.state.pool.fetchrow(ONE_ITEM, caller["id"], str(public_id))
    if row is None:
        raise HTTPException(404)
    return ItemAnswer(data=ItemOut(**row))


@app.get("/api/v1/items")
async def items(
    request: Request, caller: Caller, per_page: Annotated[int, Query(ge=1, le=100)] = 20
) -> ItemsAnswer:
    async with request.app.state.pool.acquire() as connection:
        rows = await connection.fetch(PAGE, caller["id"], per_page)
        total = await connection.fetchval(COUNT, caller["id"])
    meta = PageOut(page=1, per_page=per_page, total=total, pages=-(-total // per_page))
    return ItemsAnswer(data=[ItemOut(**row) for row in rows], meta=meta)


@app.post("/api/v1/items", status_code=201)
async def create(request: Request, data: ItemIn, caller: Caller) -> ItemAnswer:
    row = await request.app.state.pool.fetchrow(
        CREATE,
        str(uuid7()),
        data.title,
        data.description,
        data.status,
        caller["id"],
        datetime.now(UTC),
    )
    return ItemAnswer(data=ItemOut(**row, owner_public_id=caller["public_id"]))


@app.get("/api/v1/notes/{public_id}")
async def note(request: Request, public_id: UUID, caller: Caller) -> NoteAnswer:
    row = await request.app.state.pool.fetchrow(ONE_NOTE, caller["id"], str(public_id))
    if row is None:
        raise HTTPException(404)
    return NoteAnswer(data=NoteOut(**row))


@app.get("/api/v1/notes")
async def notes(
    request: Request, caller: Caller, per_page: Annotated[int, Query(ge=1, le=100)] = 20
) -> NotesAnswer:
    async with request.app.state.pool.acquire() as connection:
        rows = await connection.fetch(NOTES, caller["id"], per_page)
        total = await connection.fetchval(COUNT_NOTES, caller["id"])
    meta = PageOut(page=1, per_page=per_page, total=total, pages=-(-total // per_page))
    return NotesAnswer(data=[NoteOut(**row) for row in rows], meta=meta)


@app.post("/api/v1/notes", status_code=201)
async def create_note(request: Request, data: NoteIn, caller: Caller) -> NoteAnswer:
    row = await request.app.state.pool.fetchrow(
        CREATE_NOTE, str(uuid7()), data.text, caller["id"], datetime.now(UTC)
    )
    return NoteAnswer(data=NoteOut(**row))


@app.post("/api/v1/auth/refresh")
async def refresh(request: Request, data: TokensIn) -> TokensAnswer:
    now = datetime.now(UTC)
    token = codec.parse(data.refresh_token)
    if token is None:
        raise HTTPException(401)
    async with request.app.state.pool.acquire() as connection:
        family = await connection.fetchrow(FAMILY, token.family, now)
        if family is None or not codec.verify(token, family["seed"]):
            raise HTTPException(401)
        idle = min(family["expires_at"], now + settings.refresh_token_idle_lifetime)
        generation = await connection.fetchval(ROTATE, family["id"], token.generation, now, idle)
    if generation is None:
        raise HTTPException(401)
    return TokensAnswer(data=_tokens(family, generation, now))


def _tokens(family: asyncpg.Record, generation: int, now: datetime) -> TokensOut:
    issued_at = int(now.timestamp())
    lifetime: timedelta = settings.access_token_lifetime
    claims = {
        "iss": settings.JWT_ISSUER,
        "aud": settings.JWT_AUDIENCE,
        "sub": family["user_public_id"],
        "sid": family["public_id"],
        "jti": str(uuid7()),
        "iat": issued_at,
        "exp": issued_at + int(lifetime.total_seconds()),
    }
    headers = {"typ": "at+jwt", "kid": ring.kid}
    algorithm = ring.algorithm.value
    return TokensOut(
        access_token=decoder.encode(claims, ring.signing_key, algorithm=algorithm, headers=headers),
        refresh_token=codec.issue(
            family=family["public_id"], generation=generation, seed=family["seed"]
        ),
        expires_in=int(lifetime.total_seconds()),
    )
