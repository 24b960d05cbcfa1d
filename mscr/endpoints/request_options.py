"""Query options of requests that write.

Unknown options are refused: ignoring a misspelt `dry_run` would write rows unintentionally.
"""

from fastapi import Request

from mscr.core.exceptions import ValidationFailedError
from mscr.schemas.validation import InputModel


class RequestOptions(InputModel):
    """The base of query options. Read them with `Annotated[..., Query()]`."""


def refuse_repeated(request: Request) -> None:
    """Raise `ValidationFailedError` for an option that is sent twice.

    `dry_run=true&dry_run=false` is ambiguous.
    """
    sent = request.query_params
    for name in sent:
        if len(sent.getlist(name)) > 1:
            raise ValidationFailedError(
                "Send this once", loc=("query", name), error_type="repeated"
            )
