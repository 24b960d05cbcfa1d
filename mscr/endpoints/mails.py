"""Mails that are posted after the response, so that its time does not depend on them."""

from collections.abc import Callable
from typing import Annotated

from fastapi import BackgroundTasks, Depends, Request

from mscr.endpoints.requests import collaborators_of
from mscr.mail.message import Mail


async def get_post_mail(request: Request, background: BackgroundTasks) -> Callable[[Mail], None]:
    """Return a function that posts a mail as a background task."""
    mails = collaborators_of(request).mails

    def post(mail: Mail) -> None:
        background.add_task(mails.post, mail)

    return post


PostMail = Annotated[Callable[[Mail], None], Depends(get_post_mail)]
