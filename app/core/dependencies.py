"""Aliases of dependencies for routers: database sessions, the caller, collaborators.

Add your own here.
"""

from typing import Annotated

from fastapi import Depends

from app.core.state import Collaborators
from mscr.endpoints.audit import Audit
from mscr.endpoints.callers import (
    CurrentPrincipal,
    CurrentUser,
    CurrentUserId,
    TokenUser,
    get_current_user,
    get_current_user_id,
    get_principal,
)
from mscr.endpoints.database import DbSession, ReadDbSession, StreamingReadDbSession
from mscr.endpoints.owned_resource import ListPage, page_of, service_for_caller
from mscr.endpoints.permissions import RecentPrincipal, require_permission, shared
from mscr.endpoints.requests import (
    CurrentClient,
    PublicId,
    client_of,
    collaborators_of,
    get_collaborators,
)

AppCollaborators = Annotated[Collaborators, Depends(get_collaborators)]
