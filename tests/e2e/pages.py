"""Pages of several origins, which do what their visitors' browsers let them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple

from tests.e2e.webdriver import Browser

# With an icon of its own: the browser would ask for one.
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
    """What a page's script sees; status 0 where the browser keeps it from it."""

    status: int
    text: str


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: Any) -> None:
        """Nothing, instead of a line on standard error."""


@contextmanager
def page_server() -> Iterator[int]:
    """A page at every path of this port of the loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def fetch(browser: Browser, url: str, *, credentials: str = "include", **options: Any) -> Answer:
    """What comes of a `POST` by the script of the page that is open."""
    whole = {"method": "POST", "credentials": credentials, **options}
    return Answer(**browser.run(FETCH, url, whole))


def submit(browser: Browser, url: str, **fields: str) -> None:
    """Go where a form of the page that is open leads, as a visitor would who is lured into it."""
    browser.run(SUBMIT, url, fields)
