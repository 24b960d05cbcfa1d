"""TLS options of URLs, against a real PostgreSQL, and a real Valkey behind a TLS proxy."""

import secrets
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from mscr.connections.urls.database import connection_of, read_database_url
from mscr.connections.urls.redis import read_redis_url
from mscr.testing.authority import Authority
from mscr.testing.valkey import ValkeyServer
from mscr.tests.deploy.tls_servers import TlsPostgres, TlsValkey
from mscr.tests.support.command_line import Cli

PASSWORD: Final = "correct horse"


class Files(NamedTuple):
    """Certificates, keys and revocation lists that the test authorities have issued."""

    authority: Path
    stranger: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    revoked: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder, "authority")
    server, server_key = authority.issue("server", "localhost")
    client, client_key = authority.issue("cert", password=PASSWORD)
    return Files(
        authority.certificate,
        Authority(folder, "stranger").certificate,
        server,
        server_key,
        client,
        client_key,
        authority.revoke(server),
    )


@pytest.fixture(scope="module")
def postgres_with_tls(files: Files) -> Iterator[TlsPostgres]:
    with TlsPostgres(files.server, files.server_key, files.authority) as server:
        yield server


@pytest.fixture(autouse=True)
async def users(postgres_with_tls: TlsPostgres) -> None:
    for user in ("tls", "plain", "cert"):
        statement = f"DO $$ BEGIN CREATE ROLE {user} LOGIN; EXCEPTION WHEN OTHERS THEN END $$"
        await postgres_with_tls._execute(statement)  # a server of the tests' own


async def state_of_tls(url: str) -> tuple[bool, str | None]:
    """Connect as the application does. Return whether TLS is used, and the client certificate."""
    address, arguments = connection_of(read_database_url(url, root=Path("/")))
    engine = create_async_engine(address, connect_args=arguments, poolclass=NullPool)
    query = text("SELECT ssl, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    async with engine.connect() as connection:
        row = (await connection.execute(query)).one()
    return row.ssl, row.client_dn


@pytest.mark.parametrize(
    ("user", "host", "options", "uses_tls"),
    [
        ("postgres", "localhost", "sslmode=disable", False),
        ("postgres", "localhost", "sslmode=allow", False),
        ("tls", "localhost", "sslmode=allow", True),
        ("postgres", "localhost", "sslmode=prefer", True),
        ("plain", "localhost", "sslmode=prefer", False),
        ("postgres", "localhost", "", True),
        ("postgres", "localhost", "sslmode=require", True),
        ("postgres", "localhost", "sslmode=require&channel_binding=require", True),
        ("postgres", "localhost", "channel_binding=require", True),
        ("postgres", "127.0.0.1", "sslmode=verify-ca&sslrootcert={authority}", True),
        ("postgres", "localhost", "sslmode=verify-full&sslrootcert={authority}", True),
        (
            "postgres",
            "localhost",
            "sslmode=verify-full&sslrootcert={authority}&ssl_min_protocol_version=TLSv1.3",
            True,
        ),
    ],
)
async def test_each_mode_connects_with_or_without_tls(
    postgres_with_tls: TlsPostgres,
    files: Files,
    user: str,
    host: str,
    options: str,
    uses_tls: bool,
) -> None:
    url = f"{postgres_with_tls.tcp_url(user, host)}?{options.format(**files._asdict())}"

    assert await state_of_tls(url) == (uses_tls, None)


@pytest.mark.parametrize(
    ("user", "host", "options", "reason"),
    [
        ("tls", "localhost", "sslmode=disable", "pg_hba.conf rejects"),
        ("plain", "localhost", "sslmode=require", "pg_hba.conf rejects"),
        ("postgres", "127.0.0.1", "sslmode=verify-full&sslrootcert={authority}", "IP address"),
        ("postgres", "localhost", "sslmode=verify-ca&sslrootcert={stranger}", "verify failed"),
        ("postgres", "localhost", "sslmode=require&sslrootcert={stranger}", "verify failed"),
        ("postgres", "localhost", "sslmode=verify-full&sslrootcert=system", "verify failed"),
        (
            "postgres",
            "localhost",
            "sslmode=verify-full&sslrootcert={authority}&sslcrl={revoked}",
            "certificate revoked",
        ),
        ("cert", "localhost", "sslmode=require", "valid client certificate"),
    ],
)
async def test_a_connection_that_violates_the_mode_fails(
    postgres_with_tls: TlsPostgres,
    files: Files,
    user: str,
    host: str,
    options: str,
    reason: str,
) -> None:
    url = f"{postgres_with_tls.tcp_url(user, host)}?{options.format(**files._asdict())}"

    with pytest.raises(Exception, match=reason):
        await state_of_tls(url)


async def test_a_client_certificate_is_presented(
    postgres_with_tls: TlsPostgres, files: Files
) -> None:
    url = (
        f"{postgres_with_tls.tcp_url('cert')}?sslmode=verify-full&sslrootcert={files.authority}"
        f"&sslcert={files.client}&sslkey={files.client_key}&sslpassword=correct%20horse"
    )

    assert await state_of_tls(url) == (True, "/CN=cert")


async def test_the_application_uses_the_options_of_its_url(
    tmp_path: Path, postgres_with_tls: TlsPostgres, files: Files
) -> None:
    name = f"test_{secrets.token_hex(4)}"
    await postgres_with_tls.create_database(name)
    place = f"postgresql://tls@localhost:{postgres_with_tls.port}/{name}"
    cli = Cli(tmp_path, f"{place}?sslmode=verify-full&sslrootcert={files.authority}")
    owner = f'ALTER DATABASE "{name}" OWNER TO tls'
    await postgres_with_tls._execute(owner)  # a server of the tests' own

    for command in ("init-db", "list-users", "doctor"):
        finished = cli.run(command)
        assert finished.returncode == 0, finished
    refused = cli.run("list-users", DATABASE_URL=f"{place}?sslmode=disable")

    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1


# --- Valkey


@pytest.fixture(scope="module")
def tls_valkey(valkey: ValkeyServer, files: Files) -> Iterator[TlsValkey]:
    pem = files.server.read_bytes() + files.server_key.read_bytes()
    with TlsValkey(valkey, pem) as server:
        yield server


@pytest.fixture(scope="module")
def strict_valkey(valkey: ValkeyServer, files: Files) -> Iterator[TlsValkey]:
    """Start a server that requires a client certificate."""
    pem = files.server.read_bytes() + files.server_key.read_bytes()
    with TlsValkey(valkey, pem, authority=files.authority) as server:
        yield server


async def ping(url: str) -> Any:
    async with Redis.from_url(read_redis_url(url)) as client:
        return await client.ping()


@pytest.mark.parametrize(
    "url",
    [
        "rediss://localhost:{port}?ssl_ca_certs={authority}",
        "valkeys://localhost:{port}/0?ssl_ca_certs={authority}&socket_timeout=5",
        "rediss://127.0.0.1:{port}?ssl_ca_certs={authority}&ssl_check_hostname=false",
        "rediss://127.0.0.1:{port}?ssl_cert_reqs=none",
        "rediss://127.0.0.1:{port}?ssl_cert_reqs=CERT_NONE&ssl_check_hostname=False",
    ],
)
async def test_valkey_is_reached_over_tls(tls_valkey: TlsValkey, files: Files, url: str) -> None:
    assert await ping(url.format(port=tls_valkey.port, **files._asdict()))


@pytest.mark.parametrize(
    "url",
    [
        "rediss://localhost:{port}",
        "rediss://localhost:{port}?ssl_ca_certs={stranger}",
        "rediss://127.0.0.1:{port}?ssl_ca_certs={authority}",
        "redis://localhost:{port}",
    ],
)
async def test_valkey_with_an_unaccepted_certificate_is_not_reached(
    tls_valkey: TlsValkey, files: Files, url: str
) -> None:
    with pytest.raises((RedisConnectionError, ssl.SSLError)):
        await ping(url.format(port=tls_valkey.port, **files._asdict()))


async def test_a_client_certificate_is_presented_to_valkey(
    strict_valkey: TlsValkey, files: Files
) -> None:
    place = f"rediss://localhost:{strict_valkey.port}?ssl_ca_certs={files.authority}"
    pair = f"&ssl_certfile={files.client}&ssl_keyfile={files.client_key}"

    assert await ping(f"{place}{pair}&ssl_password=correct%20horse")
    with pytest.raises((RedisConnectionError, ssl.SSLError)):
        await ping(place)
