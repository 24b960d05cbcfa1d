"""Options of a request that writes, in its query.

To pass over what is not understood, as a misspelt `dry_run`, would be to do what nobody asked for.
"""

from fastapi import Request

from app.core.exceptions import ValidationFailedError
from app.core.validation import InputModel


class RequestOptions(InputModel):
    """Base of such options: unknown ones are refused. Read them with `Annotated[..., Query()]`."""


def refuse_repeated(request: Request) -> None:
    """Raises `ValidationFailedError` for an option that is sent twice.

    Of `dry_run=true&dry_run=false`, nobody can say which one was meant.
    """
    sent = request.query_params
    for name in sent:
        if len(sent.getlist(name)) > 1:
            raise ValidationFailedError(
                "Send this once", loc=("query", name), error_type="repeated"
            )
