"""Checks of the responses of every route, to every kind of caller and of fault."""

import re

import pytest
from fastapi import FastAPI

from mscr.core.settings_fields import RefreshTokenTransport
from mscr.testing.cookies import token_set
from mscr.testing.databases import on_sqlite
from mscr.testing.openapi import header_faults, undocumented
from mscr.testing.route_checks.fixtures import OF_ALL_ROUTES, Crawled, Crawler
from mscr.testing.routes import routes_of

with_either_transport = pytest.mark.parametrize(
    "transport",
    [
        pytest.param(way, marks=pytest.mark.settings(REFRESH_TOKEN_TRANSPORT=way.value))
        for way in RefreshTokenTransport
    ],
)


@OF_ALL_ROUTES
class AnswerChecks:
    """Responses are as OpenAPI documents them, and have neither integer keys nor tokens."""

    async def test_no_response_of_any_route_has_an_integer_key(
        self, app: FastAPI, crawled: Crawled, crawler: Crawler
    ) -> None:
        """AZ3: in bodies, headers, tokens and cursors, for permitted and refused requests."""
        assert len(crawled.keys.given) > len(routes_of(app))
        leaks = crawled.leaks()
        if leaks:
            # Four random bytes of a token equal a key once in some hundred runs, but not twice.
            again = (await crawler(crawled.keys)).leaks()
            leaks = {route: text for route, text in again.items() if route in leaks}
        assert leaks == {}

    @on_sqlite
    @with_either_transport
    def test_every_response_is_as_documented(
        self, app: FastAPI, crawled: Crawled, transport: RefreshTokenTransport
    ) -> None:
        openapi, answers = app.openapi(), crawled.documented(app)

        assert [fault for answer in answers for fault in undocumented(openapi, answer)] == []

    @on_sqlite
    @pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="cookie")
    def test_no_body_has_a_refresh_token_with_the_cookie_transport(
        self, app: FastAPI, crawled: Crawled
    ) -> None:
        """CK2."""
        answers = [answer.response for answer in crawled.answers]

        tokens = {token for answer in answers if (token := token_set(answer))}
        texts = [answer.text for answer in answers if answer.request.url.path != "/openapi.json"]
        # A contract may have no refresh tokens.
        assert len(tokens) > 3 or not any(route.reads_cookie for route in routes_of(app).values())
        assert not [
            text for text in texts if "refresh_token" in re.sub("invalid_refresh_token", "", text)
        ]
        assert not [token for token in tokens if any(token in text for text in texts)]

    @on_sqlite
    def test_the_headers_of_responses_are_as_documented(
        self, app: FastAPI, crawled: Crawled
    ) -> None:
        openapi, answers = app.openapi(), crawled.documented(app)

        assert [fault for answer in answers for fault in header_faults(openapi, answer)] == []
        assert {200, 401} <= {answer.response.status_code for answer in answers}
