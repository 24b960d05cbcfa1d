"""wrk, where the machine has it: a load that costs less than what it measures."""

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.client import HOST
from benchmarks.load import Load, Speed

UNITS_IN_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
RATE: Final = re.compile(r"Requests/sec:\s+([\d.]+)")
P99: Final = re.compile(r"99%\s+([\d.]+)(us|ms|s|m)\b")
REFUSED: Final = re.compile(r"Non-2xx or 3xx responses: \d+")
BROKEN: Final = re.compile(r"Socket errors: .*")


def measure(wrk: str, load: Load, port: int, *, seconds: float) -> Speed:
    """Raises `RuntimeError` when it prints something else than figures."""
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch) / "request.lua"
        script.write_text(_script(load))
        command = _command(wrk, load, port, script, max(1, round(seconds)))
        return read(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _command(wrk: str, load: Load, port: int, script: Path, seconds: int) -> list[str]:
    return [
        wrk,
        "--threads=1",
        f"--connections={load.connections}",
        f"--duration={seconds}s",
        "--timeout=10s",
        "--latency",
        f"--script={script}",
        f"http://{HOST}:{port}{load.path}",
    ]


def _script(load: Load) -> str:
    lines = [f'wrk.headers["Authorization"] = "Bearer {load.token}"']
    if load.body is not None:
        lines += [
            'wrk.headers["Content-Type"] = "application/json"',
            'wrk.method = "POST"',
            f"wrk.body = [[{json.dumps(load.body)}]]",
        ]
    return "\n".join(lines)


def read(output: str) -> Speed:
    """What wrk printed. Raises `RuntimeError` where that holds no figures."""
    rate, p99 = RATE.search(output), P99.search(output)
    if rate is None or p99 is None:
        raise RuntimeError(f"wrk said something else than expected:\n{output}")
    problems = [found[0] for found in (REFUSED.search(output), BROKEN.search(output)) if found]
    return Speed(float(rate[1]), float(p99[1]) * UNITS_IN_MS[p99[2]], "; ".join(problems) or None)
