"""Attack a running server that is yours: `python -m mscr.tests.attack http://127.0.0.1:8000`."""

import asyncio
import sys

from httpx2 import AsyncClient, TransportError

from mscr.tests.attack.report import report


async def main(url: str) -> int:
    async with AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
        try:
            await client.get("/health/live")
        except TransportError as error:
            sys.exit(f"no server answers at {url}: {error}")
        return await report(client)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(sys.argv[1])))
