"""Use the client that openapi-python-client generates: `python client.py http://localhost:8000`."""

import json
import sys
from io import BytesIO
from typing import TypeVar

from generated_client import AuthenticatedClient, Client
from generated_client.api.auth import create_token, login, refresh_tokens, register
from generated_client.api.items import create_item, import_items, import_items_ndjson, list_items
from generated_client.models import (
    ImportEnvelope,
    ItemCreate,
    ItemEnvelope,
    ItemPage,
    LoginRequest,
    OAuth2Login,
    OAuth2Problem,
    Problem,
    RefreshRequest,
    TokenEnvelope,
    TokenResponse,
    UserRegister,
)
from generated_client.types import File

ResultT = TypeVar("ResultT")

EMAIL = "ada@example.com"
PASSWORD = "seven wet umbrellas"  # of an account in a temporary database


def expect(kind: type[ResultT], result: object) -> ResultT:
    if not isinstance(result, kind):
        raise TypeError(f"{kind.__name__} expected: {result}")
    return result


def main(base_url: str) -> dict[str, object]:
    anonymous = Client(base_url=base_url)
    person = UserRegister(email=EMAIL, password=PASSWORD)
    expect(TokenEnvelope, register.sync(client=anonymous, body=person))

    by_json = expect(
        TokenEnvelope,
        login.sync(client=anonymous, body=LoginRequest(email=EMAIL, password=PASSWORD)),
    )
    form = OAuth2Login(grant_type="password", username=EMAIL, password=PASSWORD)
    by_form = expect(TokenResponse, create_token.sync(client=anonymous, body=form))
    refreshed = expect(
        TokenEnvelope,
        refresh_tokens.sync(
            client=anonymous, body=RefreshRequest(refresh_token=by_form.refresh_token)
        ),
    )

    client = AuthenticatedClient(base_url=base_url, token=refreshed.data.access_token)
    created = expect(
        ItemEnvelope, create_item.sync(client=client, body=ItemCreate(title="Buy milk"))
    )
    csv = File(payload=BytesIO(b"title\r\nBuy bread\r\n"))
    lines = File(payload=BytesIO(b'{"title": "Buy salt"}\n'))
    imported = [
        expect(ImportEnvelope, import_items.sync(client=client, body=csv)).data.rows,
        expect(ImportEnvelope, import_items_ndjson.sync(client=client, body=lines)).data.rows,
    ]
    page = expect(ItemPage, list_items.sync(client=client, sort="title"))

    guess = LoginRequest(email=EMAIL, password="eight dry umbrellas")  # wrong
    refused = expect(Problem, login.sync(client=anonymous, body=guess))
    form.password = guess.password
    wrong = expect(OAuth2Problem, create_token.sync(client=anonymous, body=form))
    return {
        "logged_in": by_json.data.token_type,
        "refreshed": refreshed.data.refresh_token != by_form.refresh_token,
        "created": created.data.title,
        "imported": imported,
        "titles": [item.title for item in page.data],
        "credentials": [refused.status, refused.code],
        "grant": [wrong.status, wrong.error],
    }


if __name__ == "__main__":
    json.dump(main(sys.argv[1]), sys.stdout)
