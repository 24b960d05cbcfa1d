"""Whether a client is still there: told without waiting, and without losing what it sent."""

import asyncio

from starlette.types import Message

from app.core.presence import Presence

END: Message = {"type": "http.request", "body": b"", "more_body": False}
GONE: Message = {"type": "http.disconnect"}


def part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


class Client:
    """What a server passes on of it; taken messages are gone, as with servers."""

    def __init__(self, *messages: Message) -> None:
        self._sent: asyncio.Queue[Message] = asyncio.Queue()
        for message in messages:
            self.send(message)

    def send(self, message: Message) -> None:
        self._sent.put_nowait(message)

    async def receive(self) -> Message:
        return await self._sent.get()


async def test_a_client_that_waits_for_its_answer_is_there_until_it_goes() -> None:
    client = Client(END)
    presence = Presence(client.receive, sends_body=False)
    assert not presence.is_gone()
    client.send(GONE)
    assert presence.is_gone()
    assert [await presence.receive(), await presence.receive()] == [END, GONE]
    assert presence.is_gone()


async def test_a_body_on_its_way_is_left_to_whoever_reads_it() -> None:
    parts = [part(b"a", more=True), part(b"b", more=False)]
    client = Client(*parts, GONE)
    presence = Presence(client.receive, sends_body=True)

    seen = [(presence.is_gone(), await presence.receive()) for _ in parts]

    assert seen == [(False, each) for each in parts]
    assert presence.is_gone()


async def test_what_is_being_waited_for_is_not_taken_away() -> None:
    client = Client()
    presence = Presence(client.receive, sends_body=False)
    waiting = asyncio.create_task(presence.receive())
    await asyncio.sleep(0)
    client.send(GONE)

    assert not presence.is_gone()
    assert await waiting == GONE
    assert presence.is_gone()
