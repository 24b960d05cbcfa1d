"""Black-box attacks on tokens: forgery, tampering, confusion, replay, ended sessions and races.

An attempt needs no access to the server's keys or database, only accounts that it registers. It
records what was tried, and whether the server withstood it.
"""

import asyncio
import hmac
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from httpx2 import AsyncClient, Response
from jwt import PyJWK

from mscr.testing.forgery import decode, encode

API = "/api/v1"
PASSWORD = "seventeen wet umbrellas"
# Unauthenticated, or malformed.
REFUSED = frozenset({400, 401, 422, 431})
Tokens = dict[str, Any]


@dataclass(frozen=True)
class Attempt:
    """One attack and its outcome; `held` if the server withstood it."""

    kind: str
    what: str
    status: str
    held: bool


class Victim:
    """An account that the attacker has registered, with the tokens of its newest session."""

    def __init__(self, client: AsyncClient, email: str, tokens: Tokens) -> None:
        self._client = client
        self.email = email
        self.tokens = tokens

    @classmethod
    async def register(cls, client: AsyncClient) -> "Victim":
        email = f"victim-{secrets.token_hex(8)}@example.com"
        body = {"email": email, "password": PASSWORD}
        response = await client.post(f"{API}/auth/register", json=body)
        return cls(client, email, response.json()["data"])

    @property
    def access(self) -> str:
        return str(self.tokens["access_token"])

    @property
    def refresh(self) -> str:
        return str(self.tokens["refresh_token"])

    async def rotate(self) -> Tokens:
        response = await refresh(self._client, self.refresh)
        self.tokens = response.json()["data"]
        return self.tokens


async def me(client: AsyncClient, token: str) -> Response:
    return await client.get(f"{API}/users/me", headers={"Authorization": f"Bearer {token}"})


async def refresh(client: AsyncClient, token: str) -> Response:
    return await client.post(f"{API}/auth/refresh", json={"refresh_token": token})


Use = Callable[[AsyncClient, str], Awaitable[Response]]


async def attack(client: AsyncClient) -> AsyncIterator[Attempt]:
    """Run all attempts; one that may end its account or session gets a fresh account."""
    for part in (_forged, _cut_and_padded, _mixed, _as_another_kind, _replayed, _ended, _raced):
        async for attempt in part(client):
            yield attempt


async def _try(client: AsyncClient, kind: str, what: str, use: Use, token: str) -> Attempt:
    status = (await use(client, token)).status_code
    return Attempt(kind, what, str(status), status in REFUSED)


async def _forged(client: AsyncClient) -> AsyncIterator[Attempt]:
    victim = await Victim.register(client)
    header, claims, signature = victim.access.split(".")
    known = json.loads(decode(header))
    later = encode(json.dumps({**json.loads(decode(claims)), "exp": 4_000_000_000}).encode())
    prolonged = f"{header}.{later}.{signature}"
    yield await _try(client, "forge", "later exp, old signature", me, prolonged)
    for algorithm in ("none", "None", "NONE", "nOnE", ""):
        changed = encode(json.dumps({**known, "alg": algorithm}).encode())
        for end in ("", signature):
            what = f"alg {algorithm!r}, {'old' if end else 'no'} signature"
            yield await _try(client, "forge", what, me, f"{changed}.{claims}.{end}")
    for key in (b"", b"secret", b"your-secret-key", known["kid"].encode(), header.encode()):
        signed = encode(hmac.digest(key, f"{header}.{claims}".encode(), "sha256"))
        what = f"signed with a guess of {len(key)} bytes"
        yield await _try(client, "forge", what, me, f"{header}.{later}.{signed}")
    async for form, key in _published(client):
        hs256 = encode(json.dumps({**known, "alg": "HS256"}).encode())
        signed = encode(hmac.digest(key, f"{hs256}.{later}".encode(), "sha256"))
        what = f"HS256 with a published key, {form}"
        yield await _try(client, "forge", what, me, f"{hs256}.{later}.{signed}")
    for name, value in (
        ("kid", "../../dev/null"),
        ("kid", "' OR 1=1 --"),
        ("jku", "http://127.0.0.1:1/keys"),
        ("x5u", "http://127.0.0.1:1/cert"),
        ("jwk", {"kty": "oct", "k": encode(b"k" * 32)}),
        ("crit", ["exp"]),
        ("typ", "JWT"),
        ("alg", "RS256"),
    ):
        changed = encode(json.dumps({**known, name: value}).encode())
        signed = encode(hmac.digest(b"k" * 32, f"{changed}.{later}".encode(), "sha256"))
        yield await _try(client, "forge", f"header {name}", me, f"{changed}.{later}.{signed}")


async def _published(client: AsyncClient) -> AsyncIterator[tuple[str, bytes]]:
    """Yield each public key in the forms that a careless server might take as an HMAC secret."""
    published = (await client.get("/.well-known/jwks.json")).json()
    for jwk in published.get("keys", []):
        key = PyJWK(jwk).key
        yield "as JSON", json.dumps(jwk).encode()
        yield "its number", decode(jwk.get("x") or jwk["n"])
        yield "as PEM", key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        yield "as DER", key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


async def _cut_and_padded(client: AsyncClient) -> AsyncIterator[Attempt]:
    victim = await Victim.register(client)
    for name, use, token in (("access", me, victim.access), ("refresh", refresh, victim.refresh)):
        for length in (1, 2, len(token) // 2, len(token) - 1):
            what = f"{name} token, its first {length} characters"
            yield await _try(client, "truncate", what, use, token[:length])
        for what, changed in (
            ("one more character", token + "A"),
            ("twice", token + token),
            ("another first character", ("B" if token[0] != "B" else "C") + token[1:]),
            ("all in capitals", token.upper()),
            ("with a NUL", token[:9] + "\0" + token[9:]),
            ("100,000 characters", "A" * 100_000),
        ):
            if use is me and "\0" in changed:
                continue  # no HTTP client sends a NUL in a header
            yield await _try(client, "truncate", f"{name} token, {what}", use, changed)
    # Base64 padding and unused bits give one token many spellings: all end with its session.
    spelled = [victim.access + "=", victim.access + "==", _other_last_character(victim.access)]
    await client.post(f"{API}/auth/logout", json={"refresh_token": victim.refresh})
    for number, token in enumerate(spelled, 1):
        yield await _try(client, "re-pad", f"a token that ended, spelling {number}", me, token)


async def _mixed(client: AsyncClient) -> AsyncIterator[Attempt]:
    one, other = await Victim.register(client), await Victim.register(client)
    first, second = one.access.split("."), other.access.split(".")
    for number in range(3):
        parts = [*first]
        parts[number] = second[number]
        if parts not in (first, second):
            what = f"access token with part {number + 1} of another's"
            yield await _try(client, "mix", what, me, ".".join(parts))
    for cut in (4, 16, 22, 26, 40):
        token = one.refresh[:cut] + other.refresh[cut:]
        # Tokens begin with a timestamp, which may be equal.
        if token != other.refresh:
            yield await _try(client, "mix", f"refresh token, another's from {cut}", refresh, token)
    for name, victim in (("one", one), ("the other", other)):
        status = (await me(client, victim.access)).status_code
        yield Attempt("mix", f"afterwards {name} is still logged in", str(status), status == 200)


async def _as_another_kind(client: AsyncClient) -> AsyncIterator[Attempt]:
    victim = await Victim.register(client)
    yield await _try(client, "confuse", "refresh token as access token", me, victim.refresh)
    yield await _try(client, "confuse", "access token as refresh token", refresh, victim.access)
    session = json.loads(decode(victim.access.split(".")[1]))["sid"]
    yield await _try(client, "confuse", "session id as refresh token", refresh, session)
    cursor = await _cursor(client, victim)
    yield await _try(client, "confuse", "cursor as access token", me, cursor)
    yield await _try(client, "confuse", "cursor as refresh token", refresh, cursor)
    for place in ("access_token", "token"):
        response = await client.get(f"{API}/users/me", params={place: victim.access})
        what = f"access token in the URL as {place}"
        yield Attempt("confuse", what, str(response.status_code), response.status_code in REFUSED)
    cookies = {"Cookie": f"access_token={victim.access}"}
    status = (await client.get(f"{API}/users/me", headers=cookies)).status_code
    yield Attempt("confuse", "access token in a cookie", str(status), status == 401)


async def _cursor(client: AsyncClient, victim: Victim) -> str:
    headers = {"Authorization": f"Bearer {victim.access}"}
    for title in ("One thing", "Another"):
        await client.post(f"{API}/items", json={"title": title}, headers=headers)
    page = (await client.get(f"{API}/items/my", params={"limit": 1}, headers=headers)).json()
    return str(page.get("meta", {}).get("next_cursor"))


async def _replayed(client: AsyncClient) -> AsyncIterator[Attempt]:
    victim = await Victim.register(client)
    stolen = victim.refresh
    newest = await victim.rotate()
    replay = await refresh(client, stolen)
    same = replay.is_success and replay.json()["data"]["refresh_token"] == newest["refresh_token"]
    what, shut = "a refresh token that was used", same or replay.status_code in REFUSED
    yield Attempt("replay", what, "same successor" if same else str(replay.status_code), shut)
    # A replay within REFRESH_TOKEN_REUSE_INTERVAL_SECONDS does not end the session.
    if not same:
        yield await _try(client, "replay", "its successor", refresh, newest["refresh_token"])
        yield await _try(client, "replay", "the access token", me, newest["access_token"])
    victim = await Victim.register(client)
    grandparent = victim.refresh
    await victim.rotate()
    newest = await victim.rotate()
    yield await _try(client, "replay", "the one before the last", refresh, grandparent)
    yield await _try(client, "replay", "the newest of that login", refresh, newest["refresh_token"])


async def _ended(client: AsyncClient) -> AsyncIterator[Attempt]:
    for how in ("logout", "logout-all", "sessions", "change-password", "delete"):
        victim = await Victim.register(client)
        older = victim.tokens
        if how == "sessions":
            body = {"email": victim.email, "password": PASSWORD}
            await client.post(f"{API}/auth/login", json=body)
        await _end(client, how, victim)
        kind, after = "end", f"after {how}"
        yield await _try(client, kind, f"access token {after}", me, older["access_token"])
        yield await _try(client, kind, f"refresh token {after}", refresh, older["refresh_token"])


async def _end(client: AsyncClient, how: str, victim: Victim) -> None:
    session = json.loads(decode(victim.access.split(".")[1]))["sid"]
    method, path, body = {
        "logout": ("POST", "auth/logout", {"refresh_token": victim.refresh}),
        "logout-all": ("POST", "auth/logout-all", None),
        "sessions": ("DELETE", f"auth/sessions/{session}", None),
        "change-password": (
            "POST",
            "users/me/change-password",
            {"current_password": PASSWORD, "new_password": "a quite different sentence"},
        ),
        "delete": ("DELETE", "users/me", {"password": PASSWORD}),
    }[how]
    headers = {"Authorization": f"Bearer {victim.access}"}
    await client.request(method, f"{API}/{path}", json=body, headers=headers)


async def _raced(client: AsyncClient) -> AsyncIterator[Attempt]:
    victim = await Victim.register(client)
    answers = await asyncio.gather(*(refresh(client, victim.refresh) for _ in range(20)))
    statuses = sorted({answer.status_code for answer in answers})
    issued = {answer.json()["data"]["refresh_token"] for answer in answers if answer.is_success}
    what = f"20 uses of one refresh token at once: {len(issued)} successor"
    yield Attempt("race", what, str(statuses), len(issued) == 1 and max(statuses) < 500)
    victim = await Victim.register(client)
    logout = client.post(f"{API}/auth/logout", json={"refresh_token": victim.refresh})
    *answers, _ = await asyncio.gather(*(refresh(client, victim.refresh) for _ in range(5)), logout)
    late = [answer.json()["data"] for answer in answers if answer.is_success]
    for tokens in [victim.tokens, *late[:1]]:
        what = "access token after a racing logout"
        yield await _try(client, "race", what, me, tokens["access_token"])


def _other_last_character(token: str) -> str:
    """Return another spelling of the same bytes: base64 ignores bits of the last character."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]
