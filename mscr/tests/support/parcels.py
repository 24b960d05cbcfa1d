"""A model with columns of many types, as your project may have, and its routes.

It is not in the application's metadata, so no migration covers it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated, Any, cast

from fastapi import FastAPI
from pydantic import Field
from sqlalchemy import JSON, BigInteger, MetaData, Numeric, SmallInteger, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.catalogue.db.session import Database
from examples.catalogue.models.base import Base
from mscr.endpoints.callers import CurrentPrincipal
from mscr.endpoints.database import DbSession
from mscr.http.request_parameters import query_model
from mscr.http.responses import SuccessResponse, success_response
from mscr.http.routing import Router
from mscr.models.base import ExactNumeric, PublicIdMixin, SoftDeleteMixin, TimestampMixin
from mscr.queries.filters import Filters, at_least, conditions, equals, one_of
from mscr.repositories.base import BaseRepository
from mscr.schemas.base import ExactDecimal, PublicResource, RequestSchema, ResponseSchema
from mscr.schemas.validation import InputModel


class Depot(DeclarativeBase):
    metadata = MetaData()


class Parcel(Depot, SoftDeleteMixin, TimestampMixin, PublicIdMixin):
    __tablename__ = "parcels"

    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(String(20))
    price: Mapped[Decimal] = mapped_column(ExactNumeric(12, 2))
    weight: Mapped[Decimal | None] = mapped_column(Numeric(30, 3))
    floors: Mapped[int] = mapped_column(SmallInteger)
    quantity: Mapped[int]
    tally: Mapped[int] = mapped_column(BigInteger)
    extra: Mapped[Any] = mapped_column(JSON)
    discount: Mapped[Decimal | None] = mapped_column(ExactNumeric(6, 4))


Price = Annotated[Decimal, ExactDecimal(12, 2), Field(examples=["12.50"])]
Discount = Annotated[Decimal, ExactDecimal(6, 4, signed=True), Field(examples=["-0.5"])]


class ParcelCreate(RequestSchema):
    """Deliberately without bounds: the columns have them."""

    label: str = "a parcel"
    price: Price = Decimal("12.5")
    discount: Discount | None = None
    floors: int = 1
    quantity: int = 1
    tally: int = 1
    extra: Any = None


class ParcelQuery(InputModel):
    quantity: int | None = None
    tally_gte: int | None = None
    floors: list[int] | None = None


class ParcelResponse(PublicResource):
    label: str
    price: Price
    discount: Discount | None
    floors: int
    quantity: int
    tally: int
    extra: Any


class ParcelCount(ResponseSchema):
    count: int


FILTERS: Filters = {
    "quantity": equals(cast("Any", Parcel.quantity)),
    "tally_gte": at_least(cast("Any", Parcel.tally)),
    "floors": one_of(cast("Any", Parcel.floors)),
}
router = Router(prefix="/parcels")


def repository(db: DbSession) -> BaseRepository[Base]:
    return BaseRepository(cast("type[Base]", Parcel), db)


@router.post("", status_code=201)
async def create_parcel(
    data: ParcelCreate, _: CurrentPrincipal, db: DbSession
) -> SuccessResponse[ParcelResponse]:
    parcels = repository(db)
    parcel = await parcels.create(**data.model_dump())
    await parcels.commit()
    return success_response(ParcelResponse.model_validate(parcel))


@router.patch("/{public_id}")
async def update_parcel(
    public_id: str, data: ParcelCreate, _: CurrentPrincipal, db: DbSession
) -> SuccessResponse[ParcelResponse]:
    parcels = repository(db)
    parcel = await parcels.get_by_public_id(public_id)
    assert parcel is not None
    await parcels.update(parcel, **data.model_dump(exclude_unset=True))
    await parcels.commit()
    return success_response(ParcelResponse.model_validate(parcel))


@router.get("")
async def list_parcels(_: CurrentPrincipal, db: DbSession) -> SuccessResponse[list[ParcelResponse]]:
    rows = await repository(db).list()
    return success_response([ParcelResponse.model_validate(row) for row in rows])


@router.get("/count")
async def count_parcels(
    query: Annotated[ParcelQuery, query_model(ParcelQuery)], _: CurrentPrincipal, db: DbSession
) -> SuccessResponse[ParcelCount]:
    parcels = repository(db)
    statement = parcels._select().where(*conditions(FILTERS, query.model_dump()))
    found = (await db.scalars(statement)).all()
    return success_response(ParcelCount(count=len(found)))


@asynccontextmanager
async def depot_of(app: FastAPI, database: Database) -> AsyncIterator[None]:
    """Add these routes to the application, and their table to its database."""
    async with database.engine.begin() as connection:
        await connection.run_sync(Depot.metadata.create_all)
    app.include_router(router, prefix="/api/v1")
    yield
