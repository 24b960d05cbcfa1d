"""Presence of a client: detected without waiting, and without losing the messages it sent."""

import asyncio

from starlette.types import Message

from mscr.http.presence import Presence

END: Message = {"type": "http.request", "body": b"", "more_body": False}
GONE: Message = {"type": "http.disconnect"}


def part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


class Client:
    """The receiving side of a server: as with a real one, a message is received only once."""

    def __init__(self, *messages: Message) -> None:
        self._sent: asyncio.Queue[Message] = asyncio.Queue()
        for message in messages:
            self.send(message)

    def send(self, message: Message) -> None:
        self._sent.put_nowait(message)

    async def receive(self) -> Message:
        return await self._sent.get()


async def test_a_waiting_client_is_present_until_it_disconnects() -> None:
    client = Client(END)
    presence = Presence(client.receive, sends_body=False)
    assert not presence.is_gone()
    client.send(GONE)
    assert presence.is_gone()
    assert [await presence.receive(), await presence.receive()] == [END, GONE]
    assert presence.is_gone()


async def test_a_body_is_left_to_its_reader() -> None:
    parts = [part(b"a", more=True), part(b"b", more=False)]
    client = Client(*parts, GONE)
    presence = Presence(client.receive, sends_body=True)

    seen = [(presence.is_gone(), await presence.receive()) for _ in parts]

    assert seen == [(False, each) for each in parts]
    assert presence.is_gone()


async def test_a_message_that_the_application_awaits_is_left_to_it() -> None:
    client = Client()
    presence = Presence(client.receive, sends_body=False)
    waiting = asyncio.create_task(presence.receive())
    await asyncio.sleep(0)
    client.send(GONE)

    assert not presence.is_gone()
    assert await waiting == GONE
    assert presence.is_gone()
