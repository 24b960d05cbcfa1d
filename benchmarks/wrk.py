"""Load by wrk, if it is installed: it costs less than our own client."""

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
REQUESTS: Final = re.compile(r"(\d+) requests in ")
SHED: Final = re.compile(r"Shed: (\d+)")
REFUSED: Final = re.compile(r"Non-2xx or 3xx responses: (\d+)")
BROKEN: Final = re.compile(r"Socket errors: .*")
# wrk counts all error responses alike. This script counts 503, in each thread; we have one.
COUNT_SHED: Final = """
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() shed = 0 end
function response(status) if status == 503 then shed = shed + 1 end end
function done() io.write("Shed: " .. threads[1]:get("shed") .. "\\n") end
"""


def measure(wrk: str, load: Load, port: int, *, seconds: float) -> Speed:
    """Run wrk, and return the speed. Raise `RuntimeError` if it prints no figures."""
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
    if not load.keep_alive:
        lines.append('wrk.headers["Connection"] = "close"')
    if load.body is not None:
        lines += [
            'wrk.headers["Content-Type"] = "application/json"',
            'wrk.method = "POST"',
            f"wrk.body = [[{json.dumps(load.body)}]]",
        ]
    if load.may_be_shed:
        lines.append(COUNT_SHED)
    return "\n".join(lines)


def read(output: str) -> Speed:
    """Parse the output of wrk. Raise `RuntimeError` if it has no figures."""
    requests, rate, p99 = REQUESTS.search(output), RATE.search(output), P99.search(output)
    if requests is None or rate is None or p99 is None:
        raise RuntimeError(f"wrk said something else than expected:\n{output}")
    counted = SHED.search(output)
    shed, answered = int(counted[1]) if counted else 0, int(requests[1])
    per_second = float(rate[1]) * (answered - shed) / answered if answered else 0.0
    p99_ms = float(p99[1]) * UNITS_IN_MS[p99[2]]
    return Speed(per_second, p99_ms, _failures(output, shed), shed)


def _failures(output: str, shed: int) -> str | None:
    refused, broken = REFUSED.search(output), BROKEN.search(output)
    problems = []
    if refused is not None and int(refused[1]) > shed:
        problems.append(f"{int(refused[1]) - shed} were no success")
    if broken is not None:
        problems.append(broken[0])
    return "; ".join(problems) or None
