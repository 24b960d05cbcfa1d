"""Pages of several origins, with requests by script and by form."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple

from mscr.tests.e2e.webdriver import Browser

# An inline icon, because the browser would request one otherwise.
PAGE: Final = b'<!doctype html><title>A page</title><link rel="icon" href="data:,"><p>A page</p>'

FETCH: Final = """
const [url, options] = arguments;
return fetch(url, options).then(
    async (response) => ({status: response.status, text: await response.text()}),
    (error) => ({status: 0, text: String(error)}),
);
"""
SUBMIT: Final = """
const [url, fields] = arguments;
const form = document.createElement("form");
form.method = "post";
form.action = url;
for (const [name, value] of Object.entries(fields)) {
    const input = document.createElement("input");
    [input.name, input.value] = [name, value];
    form.append(input);
}
document.body.append(form);
form.submit();
"""


class Answer(NamedTuple):
    """The response as a page's script sees it; the status is 0 if the browser withholds it."""

    status: int
    text: str


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: Any, **__: Any) -> None:
        """Log nothing, instead of a line on standard error."""


@contextmanager
def page_server() -> Iterator[int]:
    """Serve a page at every path, and yield the port on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def fetch(browser: Browser, url: str, *, credentials: str = "include", **options: Any) -> Answer:
    """Send a request by script from the open page, `POST` by default."""
    whole = {"method": "POST", "credentials": credentials, **options}
    return Answer(**browser.run(FETCH, url, whole))


def submit(browser: Browser, url: str, **fields: str) -> None:
    """Submit a form from the open page, as a lured visitor would."""
    browser.run(SUBMIT, url, fields)
