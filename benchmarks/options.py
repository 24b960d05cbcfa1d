"""Options of the benchmarks. The documentation's figures come from the defaults."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    rounds: int = 3
    seconds: float = 6.0
    refreshes: int = 10_000
    sessions: int = 100
    items: int = 1_000_000
    requests: int = 5_000
    processes: int = 4
    wrk: str = "wrk"
    results: str = "benchmarks/results.json"
    pictures: str = "docs/images"
