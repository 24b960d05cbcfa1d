"""URLs of Redis and Valkey, as providers issue them and people write them."""

from pathlib import Path
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from mscr.connections.urls.parts import AddressError
from mscr.connections.urls.redis import read_redis_url
from mscr.testing.certificates import write_certificate

CANARY: Final = "canary"

WORKING: Final = {
    "redis://cache": "redis://cache:6379",
    "redis://:pass@cache/2": "redis://:pass@cache:6379/2",
    "redis://[::1]/0": "redis://[::1]:6379/0",
    "unix:///run/valkey.sock?db=1": "unix:///run/valkey.sock?db=1",
    "unix:///run/valkey.sock": "unix:///run/valkey.sock",
    "unix://u:pass@/run/my%20valkey.sock": "unix://u:pass@/run/my%20valkey.sock",
    " redis://cache \n": "redis://cache:6379",
    "REDIS://cache": "redis://cache:6379",
    "redis://cache/": "redis://cache:6379",
    "redis://cache?db=3": "redis://cache:6379/3",
    "redis://cache/3?db=3": "redis://cache:6379/3",
    "redis://cache?username=u&password=pa%26ss": "redis://u:pa%26ss@cache:6379",
    "redis://:p@ss#1@cache/0": "redis://:p%40ss%231@cache:6379/0",
    "redis://:p%2Fss%3F@cache/0": "redis://:p%2Fss%3F@cache:6379/0",
    "redis://u@cache": "redis://u@cache:6379",
    # Forms of Upstash, Aiven, Heroku, Railway and Celery.
    "rediss://default:pass@eu1-cool-1.upstash.io:6379": (
        "rediss://default:pass@eu1-cool-1.upstash.io:6379"
    ),
    "valkeys://default:pass@valkey-1.aivencloud.com:25061": (
        "rediss://default:pass@valkey-1.aivencloud.com:25061"
    ),
    "rediss://:pass@ec2-1.compute-1.amazonaws.com:6380?ssl_cert_reqs=none": (
        "rediss://:pass@ec2-1.compute-1.amazonaws.com:6380?ssl_cert_reqs=none"
    ),
    "redis://default:pass@redis.railway.internal:6379?family=0": (
        "redis://default:pass@redis.railway.internal:6379"
    ),
    "rediss://h?ssl_cert_reqs=CERT_NONE&ssl_check_hostname=False&socket_timeout=1.5": (
        "rediss://h:6379?ssl_cert_reqs=none&ssl_check_hostname=false&socket_timeout=1.5"
    ),
}

REFUSED: Final = {
    "canary": "not a URL",
    "https://canary.upstash.io": "the URL of a REST interface",
    "amqp://h": "needs the form redis://",
    "redis://": "has no host",
    "redis://:canary@": "has no host",
    "redis://:canary@:6379": "has no host",
    "redis://:canary@%2Frun%2Fvalkey.sock": "has no host",
    "redis://h1:1,h2:2": "several hosts mean a cluster",
    "redis+sentinel://:canary@h1,h2/main": "Sentinel and cluster URLs are not supported",
    "rediss+cluster://h": "Sentinel and cluster URLs are not supported",
    "unix://run/valkey.sock": "a socket needs the form",
    "unix://": "a socket needs the form",
    "redis://h:0": "the port must be from 1 to 65535",
    "redis://cache:canary": "the port is not a number",
    "redis://:can/ary@cache": "@ is %40, / is %2F",
    "redis://:can?ary@cache": "@ is %40, / is %2F",
    "redis://h/canary": "the database (after the host, or db) needs a whole number",
    "redis://h?db=canary": "the database (after the host, or db) needs a whole number",
    "redis://h/1?db=2": "the database is given twice",
    "redis://h?bogus=canary": "bogus: unknown option",
    "redis://h?password=p&canary=1": "an unknown option follows password",
    "redis://h?ssl=true": "ssl: not an option; the scheme rediss://",
    "redis://h?ssl_cert_reqs=none": "ssl_cert_reqs needs TLS: rediss://",
    "rediss://h?ssl_cert_reqs=canary": "ssl_cert_reqs: must be none",
    "rediss://h?ssl_check_hostname=canary": "ssl_check_hostname: must be true",
    "rediss://h?ssl_ca_certs=/no/ca": "ssl_ca_certs: cannot read /no/ca",
    "rediss://h?ssl_certfile=/no/cert": "ssl_certfile: cannot read /no/cert",
    "rediss://h?ssl_keyfile=/no/key": "ssl_keyfile needs ssl_certfile",
    "redis://h?socket_timeout=canary": "socket_timeout needs a number of seconds",
    "redis://h?socket_timeout=0": "socket_timeout needs a number of seconds",
    "redis://h?socket_connect_timeout=3600": "socket_connect_timeout needs a number of seconds",
}


@pytest.mark.parametrize("url", WORKING)
async def test_a_url_is_accepted_by_the_client(url: str) -> None:
    read = read_redis_url(url)

    assert read == WORKING[url]
    assert read_redis_url(read) == read
    client = Redis.from_url(read)
    # Raises if the connection does not accept one of the arguments.
    pool: Any = client.connection_pool
    pool.make_connection()
    await client.aclose()


@pytest.mark.parametrize("url", REFUSED)
def test_an_unusable_url_is_refused_in_one_line_with_the_remedy(url: str) -> None:
    with pytest.raises(AddressError) as refused:
        read_redis_url(url)

    line = str(refused.value)
    assert REFUSED[url] in line
    assert "\n" not in line
    assert CANARY not in line


def test_tls_files_are_tried_at_the_start(tmp_path: Path) -> None:
    pair = write_certificate(tmp_path / "pair.pem", "h")
    letter = tmp_path / "letter.pem"
    letter.write_text("Dear aunt, ")

    working = f"rediss://h?ssl_ca_certs={pair}&ssl_certfile={pair}&ssl_keyfile={pair}"
    assert read_redis_url(working).startswith("rediss://h:6379?ssl_ca_certs=")
    with pytest.raises(AddressError, match=r"ssl_ca_certs: .* has no such object"):
        read_redis_url(f"rediss://h?ssl_ca_certs={letter}")
    with pytest.raises(AddressError, match="ssl_certfile and ssl_keyfile cannot be used"):
        read_redis_url(f"rediss://h?ssl_certfile={pair}&ssl_keyfile={letter}")
