"""Routers that know at a glance which requests are not theirs.

The framework asks one route after the other, and each of them takes its time: a router's own ones
twice. Here, what cannot match is told by its text.
"""

from functools import cached_property
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from app.core.second_try import Handler, with_second_try


class Route(APIRoute):
    """An `APIRoute` that first looks at the end of the path, which is often its own alone."""

    @cached_property
    def _end(self) -> str:
        """What follows the last parameter: of a path without any, all of it."""
        return self.path.rpartition("}")[2]

    def get_route_handler(self) -> Handler:
        return with_second_try(super().get_route_handler())

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["path"].endswith(self._end):
            return super().matches(scope)
        return Match.NONE, {}


class Router(APIRouter):
    """An `APIRouter` that asks its routes only for paths with its prefix, up to a parameter."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"route_class": Route, **options})
        self._beginning = self.prefix.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if self._beginning in scope["path"]:
            return super().matches(scope)
        return Match.NONE, {}
