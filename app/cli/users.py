"""`create-user`, `set-password`, `set-role` and `list-users`.

Each field of `UserRegister` is an option of `create-user`, each field of `UserResponse` is listed.
"""
# ruff: noqa: PLC0415

from mscr.cli.users import AccountModels, account_commands


def _models() -> AccountModels:
    from app.models.user import ADMINISTRATORS, UserRole
    from app.repositories.user_repository import UserRepository
    from app.schemas.auth_schemas import UserRegister
    from app.schemas.user_schemas import UserResponse
    from app.services.auth_service import password_context

    return AccountModels(
        registration=UserRegister,
        response=UserResponse,
        repository=UserRepository,
        roles=UserRole,
        administrators=ADMINISTRATORS,
        context=password_context,
    )


commands = account_commands(_models)
