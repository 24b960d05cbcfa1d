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
    OptionalPrincipal,
    TokenUser,
    get_current_user,
    get_current_user_id,
    get_optional_principal,
    get_principal,
)
from mscr.endpoints.database import (
    DbSession,
    PublicReadDbSession,
    ReadDbSession,
    StreamingReadDbSession,
)
from mscr.endpoints.owned_resource import (
    ListPage,
    PublicListPage,
    page_of,
    public_page_of,
    service_for_anyone,
    service_for_caller,
)
from mscr.endpoints.permissions import RecentPrincipal, require_permission, shared
from mscr.endpoints.requests import (
    CurrentClient,
    PublicId,
    client_of,
    collaborators_of,
    get_collaborators,
)

AppCollaborators = Annotated[Collaborators, Depends(get_collaborators)]
