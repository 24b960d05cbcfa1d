"""The application under a path prefix of a real nginx."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx2
import pytest

from mscr.testing.api import PASSWORD
from mscr.testing.processes import free_port
from mscr.tests.deploy.nginx import Nginx
from mscr.tests.support.command_line import Cli
from mscr.tests.support.serving import Serving, clients_in

ROOT: Final = "/svc"
CLIENT: Final = "127.0.0.9"
AUTH: Final = f"{ROOT}/api/v1/auth"
# nginx strips the prefix if `proxy_pass` has a path, even `/`. Otherwise it passes the prefix on.
SERVER: Final = """
server {{
    listen 127.0.0.1:{port};
    location {root}/ {{
        proxy_pass http://127.0.0.1:{upstream}{slash};
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
    }}
}}
"""


class Behind:
    """An HTTP client that sends its requests through nginx."""

    def __init__(self, url: str, serving: Serving) -> None:
        self.serving = serving
        # An address that is not one of the proxies'.
        transport = httpx2.HTTPTransport(local_address=CLIENT)
        self.http = httpx2.Client(base_url=url, trust_env=False, transport=transport)

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self.http.get(path, headers=headers)

    def post(self, path: str, body: object, **headers: str) -> httpx2.Response:
        return self.http.post(path, json=body, headers=headers)

    def token(self) -> dict[str, str]:
        body = {"email": "ada@example.com", "password": PASSWORD}
        tokens = self.post(f"{AUTH}/register", body).json()["data"]
        return {"Authorization": f"Bearer {tokens['access_token']}"}


@pytest.fixture(params=["/", ""], ids=["taken off", "passed on"], scope="module")
def behind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[Behind]:
    cli = Cli.migrated(tmp_path_factory.mktemp("prefix"), sqlite_template)
    port, upstream = free_port(), free_port()
    server = SERVER.format(port=port, upstream=upstream, root=ROOT, slash=request.param)
    settings = {"ROOT_PATH": ROOT, "TRUSTED_PROXIES": "127.0.0.1", "LOG_JSON": "true"}
    with ExitStack() as stack:
        nginx = stack.enter_context(Nginx(server, port=port))
        settings |= {"PORT": str(upstream), "HOST": "::", "ALLOWED_HOSTS": "127.0.0.1"}
        serving = Serving(cli, "serve", port=upstream, **settings)
        stack.enter_context(serving)
        client = Behind(nginx.url, serving)
        with client.http:
            yield client


LINK: Final = re.compile(r"""(?:src|href|spec-url|url)[=:] ?["'](/[^"']+)""")


def test_every_link_of_the_application_leads_back_through_nginx(behind: Behind) -> None:
    for page in ("/docs", "/redoc"):
        links = LINK.findall(behind.get(f"{ROOT}{page}").text)
        assert len(links) >= 3, page
        for link in links:
            assert behind.get(link).status_code == 200, link
    schema = behind.get(f"{ROOT}/openapi.json").json()
    [server] = schema["servers"]
    flows = schema["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]
    form = {"grant_type": "password", "username": "nobody@example.com", "password": "a guess"}

    assert server["url"] == ROOT
    refused = behind.http.post(flows["password"]["tokenUrl"], data=form)
    assert refused.json()["error"] == "invalid_grant"
    assert behind.get(f"{server['url']}/api/v1/items").status_code == 401


def test_location_and_link_lead_back_through_nginx(behind: Behind) -> None:
    caller = behind.token()
    items = f"{ROOT}/api/v1/items"
    created = [behind.post(items, {"title": "A thing"}, **caller) for _ in range(2)]
    for response in created:
        assert behind.get(response.headers["location"], **caller).status_code == 200
    listed = behind.get(f"{items}/my?per_page=1", **caller)
    following = listed.links["next"]["url"]
    assert len(behind.get(str(listed.url.join(following)), **caller).json()["data"]) == 1


def test_health_and_keys_are_behind_the_prefix_and_probes_need_no_prefix(behind: Behind) -> None:
    for path in ("/health/live", "/health/ready"):
        assert behind.get(f"{ROOT}{path}", Host="10.1.2.3").status_code == 200
        direct = behind.serving.url + path
        assert httpx2.get(direct, headers={"Host": "10.1.2.3"}, trust_env=False).is_success
    assert behind.get(f"{ROOT}/healthxyz", Host="10.1.2.3").status_code == 400
    assert behind.get(f"{ROOT}/.well-known/jwks.json").status_code == 200
    assert behind.get("/health/live").status_code == 404


def test_the_client_is_the_one_that_nginx_saw(behind: Behind) -> None:
    forged = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-Host": "evil",
    }
    page = behind.get(f"{ROOT}/docs", **forged, **{"X-Request-ID": "forwarded-one"}).text
    behind.serving.wait_until(lambda: "forwarded-one" in behind.serving.output)

    assert "evil" not in page
    assert clients_in(behind.serving.output) == [CLIENT]
    assert "forwarded_header_ignored" not in behind.serving.output
