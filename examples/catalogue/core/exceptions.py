"""The errors of the catalogue, beside those of the kit."""

from mscr.core.exceptions import ConflictError


class TagNameTakenError(ConflictError):
    code = "tag_name_taken"
    title = "Tag name taken"
    detail = "A tag with this name already exists."


class OrderSentError(ConflictError):
    code = "order_sent"
    title = "Order sent"
    detail = "The order has been sent, and cannot be changed any more."


class TooManyOrdersError(ConflictError):
    code = "too_many_orders"
    title = "Too many orders"
    detail = "Wait until one of the open orders is sent."
