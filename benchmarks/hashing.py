"""The throughput of password hashing alone, in a process that does nothing else.

`python -m benchmarks.hashing SECONDS` prints it as one JSON object.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass

from benchmarks.accounts import PASSWORD
from benchmarks.stage import ROOT, Stage
from examples.catalogue.core.config import get_settings
from mscr.core.security.password import PasswordService

# More than one, so that a thread that becomes free always finds the next job waiting.
CALLERS_PER_THREAD = 2


@dataclass(frozen=True)
class HashingAlone:
    per_second: float
    parameters: str
    threads: int


async def measure_alone(stage: Stage, seconds: float) -> HashingAlone:
    """Measure with the server's settings and on its core. The server must be idle meanwhile."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.hashing", str(seconds)),
        cwd=ROOT,
        env=stage.environment,
        stdout=asyncio.subprocess.PIPE,
    )
    stage.cores.give_server_core(process.pid)
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError("what hashing alone can do could not be measured")
    return HashingAlone(**json.loads(output))


async def _measure(seconds: float) -> HashingAlone:
    settings = get_settings()
    passwords = PasswordService(settings)
    threads = settings.PASSWORD_HASH_THREADS
    password_hash = await passwords.hash(PASSWORD)
    started = time.perf_counter()
    callers = [
        _verify_until(started + seconds, passwords, password_hash)
        for _ in range(threads * CALLERS_PER_THREAD)
    ]
    verified = sum(await asyncio.gather(*callers))
    elapsed = time.perf_counter() - started
    passwords.close()
    return HashingAlone(verified / elapsed, password_hash.split("$")[3], threads)


async def _verify_until(end: float, passwords: PasswordService, password_hash: str) -> int:
    verified = 0
    while time.perf_counter() < end:
        await passwords.verify(PASSWORD, password_hash)
        verified += 1
    return verified


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(_measure(float(sys.argv[1]))))))
