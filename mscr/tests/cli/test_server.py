"""`serve`."""

import json
import signal
import socket
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mscr.testing.processes import free_port
from mscr.tests.support.command_line import Cli, assert_refused
from mscr.tests.support.serving import Serving, clients_in, serving, taken_port

FORWARDED = {"X-Forwarded-For": "203.0.113.9", "X-Request-ID": "forwarded-one"}


@pytest.fixture
def cli(tmp_path: Path, sqlite_template: Path) -> Cli:
    return Cli.migrated(tmp_path, sqlite_template)


def test_serve_sends_no_server_header_and_logs_one_access_line(cli: Cli) -> None:
    with serving(cli) as running:
        headers = running.headers(**FORWARDED)
        status = running.stop()

    assert status == 0
    assert "server" not in headers
    # No proxy is trusted to name the client.
    assert clients_in(running.output) == ["127.0.0.1"]
    assert "HTTP/1.1" not in running.output
    assert "Traceback" not in running.output


def ask_over_both_families(running: Serving) -> list[int]:
    urls = (running.url, running.url.replace("127.0.0.1", "[::1]"))
    return [
        httpx2.get(f"{url}/health/live", headers=FORWARDED, trust_env=False).status_code
        for url in urls
    ]


@pytest.mark.parametrize(
    ("trusted", "client"), [("10.0.0.0/8", "127.0.0.1"), ("127.0.0.1,10.0.0.0/8", "203.0.113.9")]
)
def test_serve_reads_forwarded_addresses_from_trusted_proxies_only(
    cli: Cli, trusted: str, client: str
) -> None:
    """On `::`, the kernel reports the first peer as ::ffff:127.0.0.1."""
    with serving(cli, HOST="::", TRUSTED_PROXIES=trusted) as running:
        answers = ask_over_both_families(running)
        running.stop()

    assert answers == [200, 200]
    assert clients_in(running.output) == [client, "::1"]
    lines = [json.loads(line) for line in running.output.splitlines()]
    # Logged once per process, whichever peer sends the header.
    [warning] = [line for line in lines if line["event"] == "forwarded_header_ignored"]
    assert warning["level"] == "warning"
    assert warning["peer"] == ("127.0.0.1" if client == "127.0.0.1" else "::1")
    assert "TRUSTED_PROXIES" in warning["remedy"]


def test_serve_runs_the_configured_number_of_workers_on_both_families(cli: Cli) -> None:
    with serving(cli, HOST="::", WEB_CONCURRENCY="2") as running:
        running.wait_until(lambda: running.output.count("Application startup complete") == 2)
        answers = ask_over_both_families(running)
        status = running.stop()

    assert status == 0
    assert answers == [200, 200]


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (
            "192.0.2.1",
            ["no network interface of this machine has the address 192.0.2.1", "set HOST"],
        ),
        ("a..b", ["'a..b', is neither an address", "set HOST"]),
    ],
)
def test_serve_on_an_unusable_host_is_one_line(cli: Cli, host: str, words: list[str]) -> None:
    assert_refused(cli.run("serve", HOST=host, PORT=str(free_port())), *words)


def test_serve_on_a_taken_port_is_one_line(cli: Cli) -> None:
    with taken_port() as port:
        assert_refused(cli.run("serve", PORT=str(port)), f"port {port}")


def test_serve_refuses_an_unsafe_production(cli: Cli) -> None:
    finished = cli.run("serve", ENVIRONMENT="production", DEBUG="true")

    assert finished.returncode == 1
    assert "DEBUG must be off" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_readiness_fails_while_serve_drains_but_requests_are_served(cli: Cli) -> None:
    with serving(cli, DRAIN_SECONDS="60") as running:
        running.process.send_signal(signal.SIGTERM)
        running.wait_until(lambda: "Draining" in running.output)
        ready = httpx2.get(f"{running.url}/health/ready", trust_env=False)
        live = httpx2.get(f"{running.url}/health/live", trust_env=False)
        running.stop()

    assert (ready.status_code, live.status_code) == (503, 200)
    assert ready.json()["detail"] == "The server is stopping."
    assert live.headers["connection"] == "close"


def answer_to(port: int, sent: bytes) -> tuple[str, Any]:
    """Send some bytes. Return the response's head, in lower case, and its problem."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(sent + b" HTTP/1.1\r\n\r\n")
        head, _, body = b"".join(iter(lambda: client.recv(65_536), b"")).partition(b"\r\n\r\n")
    return head.decode().lower(), json.loads(body)


def test_malformed_requests_get_a_problem_response(cli: Cli) -> None:
    with serving(cli) as running:
        port = int(running.url.rpartition(":")[2])
        answers = [
            answer_to(port, sent)
            for sent in (b"junk\r\n\r\n", b"GET /" + b"a" * 20_000, b"GET / HTTP/2.0\r\n\r\n")
        ]
        running.stop()

    codes = [body["code"] for _, body in answers]
    assert codes == ["bad_request", "uri_too_long", "http_version_not_supported"]
    for head, body in answers:
        assert "application/problem+json" in head
        assert "x-content-type-options: nosniff" in head
        assert f"x-request-id: {body['request_id']}" in head
        assert body["request_id"] in running.output
