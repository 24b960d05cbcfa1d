"""The report of the login storm's rounds."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.client import OK
from benchmarks.cpu_time import CpuTime
from benchmarks.hashing import HashingAlone
from benchmarks.pacing import Timed
from benchmarks.report import Report, percentile, table

SHED: Final = 503

Figures = dict[str, float]


@dataclass(frozen=True)
class Phase:
    """The reads of a phase, with the logins and the CPU time of the server meanwhile."""

    reads: Sequence[Timed]
    logins: int
    seconds: float
    cpu: CpuTime | None


@dataclass(frozen=True)
class Round:
    idle: Phase
    storm: Phase
    hashing: HashingAlone
    login_statuses: Counter[int]


def report(title: str, rounds: Sequence[Round]) -> Report:
    reads = Counter(
        read.status for each in rounds for read in (*each.idle.reads, *each.storm.reads)
    )
    logins = sum((each.login_statuses for each in rounds), Counter[int]())
    tables = [*_figure_tables(rounds), _counts(reads, logins)]
    return Report(title, tables, broken_promises(reads, logins))


def broken_promises(reads: Counter[int], logins: Counter[int]) -> list[str]:
    """List failures: every read must succeed, and every login must succeed or be shed (503)."""
    return [
        f"{count} {what} were answered with {status or 'nothing'}"
        for what, statuses, allowed in (("reads", reads, {OK}), ("logins", logins, {OK, SHED}))
        for status, count in sorted(statuses.items())
        if status not in allowed
    ]


def _figure_tables(rounds: Sequence[Round]) -> Iterator[str]:
    yield _by_round("round", [_times(each) for each in rounds])
    costs = [cost for each in rounds if (cost := _costs(each))]
    if costs:
        yield _by_round("CPU", costs)


def _times(round_: Round) -> Figures:
    idle_p50, idle_p99 = _percentiles(round_.idle.reads)
    storm_p50, storm_p99 = _percentiles(round_.storm.reads)
    logins = round_.storm.logins / round_.storm.seconds
    return {
        "idle p50 ms": idle_p50,
        "idle p99 ms": idle_p99,
        "storm p50 ms": storm_p50,
        "storm p99 ms": storm_p99,
        "p99 ratio": storm_p99 / idle_p99,
        "logins/s": logins,
        "hashing alone/s": round_.hashing.per_second,
        "share": logins / round_.hashing.per_second,
    }


def _costs(round_: Round) -> Figures | None:
    """Return the CPU time of a read and of a login, and the greatest share of hashing within reach.

    If all threads run on one core, the share of logins cannot exceed it.
    """
    idle, storm = round_.idle, round_.storm
    if idle.cpu is None or storm.cpu is None:
        return None
    logins = max(1, storm.logins)
    read = idle.cpu.loop / len(idle.reads)
    loop = (storm.cpu.loop - read * len(storm.reads)) / logins
    hashing = storm.cpu.others / logins
    left = 1 - read * len(idle.reads) / idle.seconds
    return {
        "a read ms": read * 1000,
        "a login ms": loop * 1000,
        "its hashing ms": hashing * 1000,
        "share within reach": left * hashing / (hashing + loop),
    }


def _percentiles(reads: Sequence[Timed]) -> tuple[float, float]:
    """Return p50 and p99 of the successful reads, in milliseconds."""
    times = [read.seconds * 1000 for read in reads if read.status == OK]
    return percentile(times, 0.5), percentile(times, 0.99)


def _by_round(name: str, figures: Sequence[Figures]) -> str:
    columns = {head: [each[head] for each in figures] for head in figures[0]}
    rows = [[str(number), *map(_rounded, each.values())] for number, each in enumerate(figures, 1)]
    rows.append(["median", *(_rounded(median(values)) for values in columns.values())])
    return table([name, *columns], rows)


def _rounded(value: float) -> str:
    return f"{value:.2f}"


def _counts(reads: Counter[int], logins: Counter[int]) -> str:
    rows = [
        ["reads", *_counted(reads, shed=0)],
        ["logins", *_counted(logins, shed=logins[SHED])],
    ]
    return table(["", "answered", "shed (503)", "errors"], rows)


def _counted(statuses: Counter[int], *, shed: int) -> list[str]:
    return [str(n) for n in (statuses[OK], shed, statuses.total() - statuses[OK] - shed)]
