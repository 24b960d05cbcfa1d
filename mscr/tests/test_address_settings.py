"""Settings with addresses, hosts, origins and paths: each is normalized, or refused in one line."""

from typing import Final

import pytest

from examples.catalogue.core.config import Settings
from mscr.tests.test_configuration import SAFE, load_settings

# Values as people write them, and in normal form.
SPELLED: Final = [
    ("ALLOWED_HOSTS", "API.Example.com", ["api.example.com"]),
    ("ALLOWED_HOSTS", "*.Example.com, my_app", ["*.example.com", "my_app"]),
    ("ALLOWED_HOSTS", "[::1],0:0::2,10.0.0.1", ["::1", "::2", "10.0.0.1"]),
    ("ALLOWED_HOSTS", "::ffff:10.0.0.1", ["10.0.0.1"]),
    ("ALLOWED_HOSTS", "xn--bcher-kva.example", ["xn--bcher-kva.example"]),
    ("TRUSTED_PROXIES", "10.0.0.1,172.31.250.1/12", ["10.0.0.1", "172.16.0.0/12"]),
    ("TRUSTED_PROXIES", "::ffff:10.0.0.1", ["10.0.0.1"]),
    ("TRUSTED_PROXIES", "::ffff:10.0.0.0/104", ["10.0.0.0/8"]),
    ("TRUSTED_PROXIES", "FD00:0::1,fd00::/8,fc00::/7", ["fd00::1", "fd00::/8", "fc00::/7"]),
    ("TRUSTED_PROXIES", "unix", ["unix"]),
    ("CORS_ORIGINS", "HTTPS://App.Example.com", ["https://app.example.com"]),
    ("CORS_ORIGINS", "https://app.example.com:443", ["https://app.example.com"]),
    ("CORS_ORIGINS", "http://localhost:80", ["http://localhost"]),
    ("CORS_ORIGINS", "https://app.example.com:8443", ["https://app.example.com:8443"]),
    ("CORS_ORIGINS", "http://app.example.com:443", ["http://app.example.com:443"]),
    ("CORS_ORIGINS", "http://[0:0::1]:3000", ["http://[::1]:3000"]),
    ("ROOT_PATH", "/svc", "/svc"),
]

HOSTS: Final = "needs host names, as in api.example.com or *.example.com"
WRONG: Final = {
    ("ALLOWED_HOSTS", "; remove the scheme and the path"): [
        *("https://api.example.com", "api.example.com/x", "//api.example.com", "10.0.0.0/8"),
    ],
    ("ALLOWED_HOSTS", "; leave it empty to serve any host"): ["*", "api.example.com,*"],
    ("ALLOWED_HOSTS", "; remove the port, as every port is served"): [
        *("api.example.com:8443", "api.example.com:", "[::1]:8000", "*.example.com:443"),
    ],
    ("ALLOWED_HOSTS", "; remove the dot at the end"): ["api.example.com."],
    ("ALLOWED_HOSTS", "; write other letters in their ASCII form, xn--..."): ["bücher.example"],
    ("ALLOWED_HOSTS", ""): [
        *("*example.com", "api.*.example.com", "**.example.com", ".example.com", "a b"),
        *("a..example.com", "user@example.com", "*.[::1]", "a" * 64, "api?.example.com"),
    ],
}
ORIGINS: Final = (
    *("https://app.example.com/", "https://app.example.com/x", "https://user@app.example.com"),
    *("app.example.com", "https://", "https://*.example.com", "https://app.example.com:port"),
    *("https://app.example.com:65536", "https://[::1", "https://app.example.com?x", "https:app"),
    *("https://bücher.example", "https://app.example.com https://b.example"),
)
PROXIES: Final = (
    *("loopback", "private", "localhost", "proxy.internal", "10.0.0.1:80", "[::1]", "10.0.0"),
    *("fe80::1%eth0/64", "10.0.0.0/33", "http://10.0.0.1", "10.0.0.1-10.0.0.9"),
)
EVERYBODY: Final = ("*", "0.0.0.0/0", "::/0", "0.0.0.0/1,128.0.0.0/1", "::ffff:0:0/96", "2000::/3")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Set the environment of a safe production, with no other settings."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
    for name, value in SAFE.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def refusal(environment: pytest.MonkeyPatch, name: str, value: str) -> str:
    """Return the error line with which start-up ends."""
    environment.setenv(name, value)
    with pytest.raises(SystemExit) as refused:
        load_settings()
    [line] = str(refused.value).splitlines()
    return line.removeprefix("Configuration error: ")


@pytest.mark.parametrize(("name", "text", "value"), SPELLED)
def test_a_value_is_normalized(
    environment: pytest.MonkeyPatch, name: str, text: str, value: list[str] | str
) -> None:
    environment.setenv(name, text)
    assert getattr(load_settings(), name) == value


@pytest.mark.parametrize(
    ("name", "hint", "value"), [(*key, value) for key, values in WRONG.items() for value in values]
)
def test_a_host_that_could_not_match_is_refused_with_the_remedy(
    environment: pytest.MonkeyPatch, name: str, hint: str, value: str
) -> None:
    assert refusal(environment, name, value) == f"{name}: {HOSTS}{hint}"


@pytest.mark.parametrize("stage", ["production", "development"])
@pytest.mark.parametrize("value", ORIGINS)
def test_an_origin_that_no_browser_sends_is_refused_in_every_environment(
    environment: pytest.MonkeyPatch, value: str, stage: str
) -> None:
    environment.setenv("ENVIRONMENT", stage)
    line = refusal(environment, "CORS_ORIGINS", f"https://good.example.com,{value}")
    assert line.startswith("CORS_ORIGINS must list exact origins, as in https://app.example.com")


@pytest.mark.parametrize("value", ["*", "null", "capacitor://localhost"])
def test_development_may_list_origins_that_production_must_not(
    environment: pytest.MonkeyPatch, value: str
) -> None:
    assert "must list exact origins" in refusal(environment, "CORS_ORIGINS", value)
    environment.setenv("ENVIRONMENT", "development")
    assert [value] == load_settings().CORS_ORIGINS


@pytest.mark.parametrize("value", PROXIES)
def test_a_proxy_that_is_no_address_is_refused(environment: pytest.MonkeyPatch, value: str) -> None:
    line = refusal(environment, "TRUSTED_PROXIES", f"10.0.0.1,{value}")
    assert line.startswith("TRUSTED_PROXIES: needs addresses or networks, comma-separated, as in")


@pytest.mark.parametrize("value", EVERYBODY)
def test_production_trusts_no_public_network(environment: pytest.MonkeyPatch, value: str) -> None:
    line = refusal(environment, "TRUSTED_PROXIES", value)
    assert line.startswith(
        "TRUSTED_PROXIES must list addresses of proxies, and not match every client"
    )


@pytest.mark.parametrize("value", ["svc", "/svc/", "https://example.com/svc"])
def test_a_prefix_that_is_no_path_is_refused(environment: pytest.MonkeyPatch, value: str) -> None:
    assert refusal(environment, "ROOT_PATH", value).startswith("ROOT_PATH: needs the form /svc")


def test_a_public_url_that_is_set_is_complete(environment: pytest.MonkeyPatch) -> None:
    """Links in mails may lead to a page outside the API."""
    environment.setenv("ROOT_PATH", "/svc")
    assert load_settings().public_url == "http://127.0.0.1:8000/svc"
    environment.setenv("PUBLIC_URL", "https://app.example.com/start")
    assert load_settings().public_url == "https://app.example.com/start"
