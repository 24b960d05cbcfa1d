from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import MISSING, Field

from examples.catalogue.models.order import OrderStatus
from mscr.schemas.base import (
    Day,
    ExactDecimal,
    Int32,
    JsonObject,
    Moment,
    PublicResource,
    RequestSchema,
    ResponseSchema,
    TimeOfDay,
)
from mscr.schemas.list_schemas import ListQuery, sort_field

Number = Annotated[str, Field(min_length=1, max_length=40, examples=["2026-17"])]
Quantity = Annotated[Int32, Field(ge=1, examples=[3])]
Price = Annotated[Decimal, ExactDecimal(12, 2), Field(examples=["12.50"])]
Remark = Annotated[str, Field(max_length=200, examples=["Ring twice"])]

Source = Annotated[str, Field(max_length=40, examples=["Shop"])]


class OrderLineWrite(RequestSchema):
    product: Annotated[str, Field(min_length=1, max_length=100, examples=["Teapot"])]
    quantity: Quantity
    price: Price
    needed_at: Moment | None = None
    options: JsonObject


class OrderLineResponse(ResponseSchema):
    product: str = Field(examples=["Teapot"])
    quantity: Quantity
    price: Price
    needed_at: datetime | None
    options: JsonObject


Lines = Annotated[list[OrderLineWrite], Field(max_length=50)]


class OrderCreate(RequestSchema):
    number: Number
    quantity: Quantity
    price: Price
    deliver_on: Day
    placed_at: Moment
    details: JsonObject
    remark: Remark | None = None
    is_shared: bool = False
    deliver_after: TimeOfDay | None = None
    barcode: UUID | None = None
    source: Source | None = None
    lines: Lines = Field([])


class OrderUpdate(RequestSchema):
    quantity: Quantity | MISSING = MISSING
    price: Price | MISSING = MISSING
    remark: Remark | None = None
    is_shared: bool | MISSING = MISSING
    source: Source | None = None
    lines: Lines | MISSING = MISSING


class OrderListQuery(ListQuery):
    sort: str = sort_field("created_at", "price", "remark", "number", "sort_number")
    status: Annotated[list[OrderStatus], Field(min_length=1, max_length=2)] | None = None
    is_shared: bool | None = None
    public_id: UUID | None = None
    price_gte: Price | None = None
    price_lte: Price | None = None
    quantity_lt: Quantity | None = None
    number_prefix: Number | None = None
    remark_null: bool | None = None
    is_late: bool | None = None
    barcode: UUID | None = None


class OrderResponse(PublicResource):
    number: Number
    quantity: Quantity
    price: Price
    deliver_on: Day
    placed_at: Moment
    ordered_on: date
    details: JsonObject
    remark: Remark | None
    deliver_after: TimeOfDay | None
    barcode: UUID | None
    source: Source | None
    handled_at: datetime
    sort_number: str = Field(examples=["2026-17"])
    is_large: bool
    status: OrderStatus
    reference: str = Field(examples=["0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a5b"])
    is_shared: bool
    owner_public_id: UUID
    lines: list[OrderLineResponse]
    buyer: str | None = Field(validation_alias="owner_name", examples=["Ada Lovelace"])
