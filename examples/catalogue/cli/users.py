"""`create-user`, `set-password`, `set-role` and `list-users`.

Each field of `UserRegister` is an option of `create-user`, each field of `UserResponse` is listed.
"""
# ruff: noqa: PLC0415

from mscr.cli.users import AccountModels, account_commands


def _models() -> AccountModels:
    from examples.catalogue.models.user import ADMINISTRATORS, UserRole
    from examples.catalogue.repositories.user_repository import UserRepository
    from examples.catalogue.schemas.auth_schemas import UserRegister
    from examples.catalogue.schemas.user_schemas import UserResponse
    from examples.catalogue.services.auth_service import password_context

    return AccountModels(
        registration=UserRegister,
        response=UserResponse,
        repository=UserRepository,
        roles=UserRole,
        administrators=ADMINISTRATORS,
        context=password_context,
    )


commands = account_commands(_models)
