"""`python -m benchmarks`, with so little to do that its figures mean nothing."""

import json
import os
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from app.core.config import PROJECT_ROOT
from benchmarks.__main__ import main
from tests.support import warm_processes
from tests.support.postgres import PostgresServer

RATIOS = ["me", "item", "list20", "list100", "create", "refresh"]
LITTLE = [
    *("--rounds=1", "--seconds=0.2", "--sessions=5", "--refreshes=20", "--items=3000"),
    *("--requests=20", "--replicas=2"),
]
FIRST = ["throughput", "storm", "rotation", "startup", "export", "lists"]
TIMEOUT_SECONDS = 100


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench") / "results.json"


@pytest.fixture(scope="module")
def measured(postgres: PostgresServer, results: Path) -> str:
    # Without wrk, which some machines have, and which takes a second for each figure.
    done = measure(postgres, *FIRST, "--wrk=none", f"--results={results}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.decode()


def measure(postgres: PostgresServer, *names: str, **settings: str) -> CompletedProcess[bytes]:
    # The server of these tests, rather than one more.
    server = postgres.external_url or postgres.url("postgres")
    environment = os.environ | {PostgresServer.variable: server} | settings
    command = [sys.executable, "-m", "benchmarks", *names, *LITTLE]
    return warm_processes.run(command, environment, cwd=PROJECT_ROOT, timeout=TIMEOUT_SECONDS)


def figures(output: str, row: str) -> list[float]:
    [figures] = all_figures(output, row)
    return figures


def all_figures(output: str, row: str) -> list[list[float]]:
    # Not what is compared with the baseline, in percent.
    lines = [line for line in output.splitlines() if line.startswith(f"{row} ") and "%" not in line]
    return [[float(cell) for cell in line.removeprefix(row).split()] for line in lines]


def test_the_throughput_has_all_its_ratios(measured: str, results: Path) -> None:
    ratios = json.loads(results.read_text())["ratios"]

    assert list(ratios) == RATIOS
    for name in RATIOS:
        ours, _, theirs, _, ratio, lowest, highest = figures(measured, name)
        assert min(ours, theirs) > 0
        assert lowest == ratio == highest == pytest.approx(ratios[name], abs=0.006)
    assert "the load is made by our own client" in measured
    assert "BROKEN" not in measured


def test_the_storm_has_all_its_figures(measured: str) -> None:
    times, costs = all_figures(measured, "median")
    p50, p99, storm_p50, storm_p99, *others = times

    assert 0 < p50 <= p99
    assert 0 < storm_p50 <= storm_p99
    assert min(others) >= 0
    assert len(others) == 4
    assert len(costs) == 4
    assert figures(measured, "reads") == [20, 0, 0]
    assert figures(measured, "logins")[1:] == [0, 0]


def test_the_rotation_has_all_its_figures(measured: str) -> None:
    speed, p50, p99 = figures(measured, "rotation")

    assert speed > 0
    assert 0 < p50 <= p99
    # One user's registration and five logins.
    assert figures(measured, "refresh_tokens") == [20, 0, 6, 6]


def test_start_and_memory_have_their_figures(measured: str, results: Path) -> None:
    told = json.loads(results.read_text())["startup"]

    for name in ("application", "reference"):
        seconds, lowest, highest, megabytes = figures(measured, name)
        assert 0 < lowest == seconds == highest
        assert megabytes > 20
        assert told[name] == {"seconds_to_start": seconds, "megabytes": megabytes}


def test_the_lists_have_all_their_figures(measured: str) -> None:
    told = measured.partition("lists: ")[2].splitlines()[2:]
    head, *rows = [line for line in told if line]

    assert head.split() == ["p50", "ms", "ratio", "lowest", "highest"]
    names, *figures = zip(*(row.rsplit(maxsplit=4) for row in rows), strict=True)
    assert names[0] == "first page of 1,000"
    assert len(names) == 10
    assert all(float(figure) > 0 for column in figures for figure in column)
    # Of 3,000, 92 % are published; that is where a cursor leads to.
    assert "page at 2,704, by cursor" in names


def test_the_export_has_all_its_figures(measured: str) -> None:
    """RL18."""
    for row_format in ("ndjson", "csv"):
        speed, size, _, growth = figures(measured, row_format)
        assert min(speed, size) > 0
        assert growth < 50
    assert "Export of 3000 rows" in measured


def test_the_conditions_have_all_their_ratios(postgres: PostgresServer, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    done = measure(postgres, "conditions", "--wrk=none", "--seconds=0.05", f"--results={results}")
    ratios = json.loads(results.read_text())["conditions"]

    assert done.returncode == 0, done.stdout + done.stderr
    assert list(ratios) == [
        "PostgreSQL, 1 worker, 16 connections",
        "64 connections",
        "256 connections",
        "a new connection each",
        "SQLite",
        "1 worker on all cores",
        "2 workers on all cores",
    ]
    assert all(list(each) == ["me", "list20", "create"] for each in ratios.values())
    # Too short for more than that everybody was answered.
    assert ratios["PostgreSQL, 1 worker, 16 connections"] == {"me": 1, "list20": 1, "create": 1}
    for name in ratios:
        assert name in done.stdout.decode()


def test_the_growth_has_all_its_curves(postgres: PostgresServer, tmp_path: Path) -> None:
    results = f"--results={tmp_path / 'results.json'}"
    pictures = f"--pictures={tmp_path / 'pictures'}"
    done = measure(postgres, "growth", "--wrk=none", "--seconds=0.05", results, pictures)
    curves = json.loads((tmp_path / "results.json").read_text())["growth"]

    assert done.returncode == 0, done.stdout + done.stderr
    assert {name: list(found) for name, found in curves.items()} == {
        "items": ["current user", "one item", "page by cursor", "page with total"],
        "sessions": ["current user", "refresh"],
        "pages": ["users", "items"],
        "replicas": ["me", "item", "list20", "create"],
    }
    expected = {
        "items": [1000],
        "sessions": [100, 1000],
        "pages": [1, 10, 20, 50, 100],
        "replicas": [1, 2],
    }
    for name, sizes in expected.items():
        picture = (tmp_path / "pictures" / f"growth-{name}.svg").read_text()
        for curve, points in curves[name].items():
            assert [size for size, _ in points] == sizes
            assert min(value for _, value in points) > 0
            assert f">{curve}</text>" in picture


def test_the_machine_is_told(measured: str) -> None:
    machine = measured.splitlines()[0]

    assert f"{os.cpu_count()} cores" in machine
    assert ".".join(map(str, sys.version_info[:3])) in machine


def test_a_broken_promise_is_told_and_ends_with_another_status(postgres: PostgresServer) -> None:
    done = measure(postgres, "rotation", MAX_SESSIONS_PER_USER="4")

    assert done.returncode == 1, done.stderr
    assert "BROKEN: refreshes that failed: 1" in done.stdout.decode()


def test_a_workload_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["calm"])

    assert "no such workload: calm" in capsys.readouterr().err
