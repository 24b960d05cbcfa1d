"""The modules and names that recipes import, independent of where the kit implements them."""

from importlib import import_module

import pytest

NAMES = {
    "app.core.config": ("PROJECT_ROOT", "Settings", "get_settings"),
    "app.core.dependencies": ("CurrentUser", "CurrentUserId", "DbSession"),
    "app.core.exceptions": ("APIError", "ConflictError", "NotFoundError"),
    "app.core.responses": ("page_response", "success_response"),
    "app.core.security.encryption": ("DecryptionError", "EncryptionService"),
    "app.core.security.jwt": ("JWTService", "TokenClaims"),
    "app.core.security.password": ("PasswordService",),
    "app.core.security.permissions": ("Permission",),
    "app.core.state": ("Collaborators",),
    "app.db.session": ("AsyncSessionLocal", "engine", "get_db"),
    "app.models.base": ("Base", "PublicIdMixin", "SoftDeleteMixin", "TimestampMixin"),
    "app.repositories.base": ("BaseRepository",),
    "app.schemas.base": ("PublicResource", "RequestSchema", "ResponseSchema"),
}


@pytest.mark.parametrize("module", NAMES)
def test_names_that_recipes_import_exist(module: str) -> None:
    assert not set(NAMES[module]) - set(dir(import_module(module)))
