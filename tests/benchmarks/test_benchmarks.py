"""`python -m benchmarks` with a tiny load: its output is complete, its figures are meaningless."""

import json
import os
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from app.core.config import PROJECT_ROOT
from benchmarks.__main__ import main, write_results
from benchmarks.report import Report
from mscr.testing import warm_processes
from mscr.testing.postgres import PostgresServer

RATIOS = ["me", "item", "list20", "list100", "create", "refresh"]
RESOURCE = {"note": "item", "notes20": "list20", "create_note": "create"}
LITTLE = [
    *("--rounds=1", "--seconds=0.2", "--sessions=5", "--refreshes=20", "--items=3000"),
    *("--requests=20", "--processes=2"),
]
FIRST = ["throughput", "storm", "rotation", "startup", "export", "lists"]
LIST_FIGURES = ["of", "many", "ratio", "lowest", "highest"]
# On a busy machine the measurements, and the processes that they start, take minutes.
TIMEOUT_SECONDS = 600


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench") / "results.json"


@pytest.fixture(scope="module")
def measured(postgres: PostgresServer, results: Path) -> str:
    # Without wrk, which only some machines have and which takes a second for each figure.
    done = measure(postgres, *FIRST, "--wrk=none", f"--results={results}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.decode()


def measure(postgres: PostgresServer, *names: str, **settings: str) -> CompletedProcess[bytes]:
    # Reuse the server of these tests.
    server = postgres.external_url or postgres.url("postgres")
    environment = os.environ | {PostgresServer.variable: server} | settings
    command = [sys.executable, "-m", "benchmarks", *names, *LITTLE]
    return warm_processes.run(command, environment, cwd=PROJECT_ROOT, timeout=TIMEOUT_SECONDS)


def figures(output: str, row: str) -> list[float]:
    [figures] = all_figures(output, row)
    return figures


def all_figures(output: str, row: str) -> list[list[float]]:
    # Leave out comparisons with the baseline, in percent.
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


def test_a_plain_resource_has_its_ratios_beside_those_of_items(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    done = measure(postgres, "resource", "--wrk=none", f"--results={tmp_path / 'results.json'}")
    told = done.stdout.decode()
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "results.json").read_text())

    assert list(found["resource"]) == [*RESOURCE, *RESOURCE.values()]
    assert list(found["ratios"]) == list(RESOURCE)
    for name, item in RESOURCE.items():
        ratio, to = (figures(told, each)[4] for each in (name, item))
        assert min(ratio, to) > 0
        assert ratio == pytest.approx(found["ratios"][name], abs=0.006)
        assert figures(told, f"{name}, to {item}") == [pytest.approx(ratio / to, rel=0.1)]


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
    # The sessions of one user: a registration and five logins.
    assert figures(measured, "refresh_tokens") == [20, 0, 6, 6]


def test_start_and_memory_have_their_figures(measured: str, results: Path) -> None:
    told = json.loads(results.read_text())["startup"]

    for name in ("application", "reference"):
        seconds, lowest, highest, megabytes = figures(measured, name)
        assert 0 < lowest == seconds == highest
        assert megabytes > 20
        assert told[name] == {"seconds_to_start": seconds, "megabytes": megabytes}


def test_the_lists_have_all_their_figures(measured: str, results: Path) -> None:
    told = measured.partition("lists: ")[2].splitlines()[2:]
    head, *rows = [line for line in told if line]

    assert head.split() == ["p50", "ms", "of", "1,000", *LIST_FIGURES]
    names, *figures = zip(*(row.rsplit(maxsplit=5) for row in rows), strict=True)
    assert list(json.loads(results.read_text())["lists"]) == list(names)
    assert len(names) == 11
    assert all(float(figure) > 0 for column in figures for figure in column)
    # 92 % of 3,000 items are published, and the cursor is at 98 % of these 2,760.
    assert "page at 2,704, by cursor" in names


def test_the_export_has_all_its_figures(measured: str) -> None:
    """RL18."""
    for row_format in ("ndjson", "csv"):
        speed, size, _, growth = figures(measured, row_format)
        assert min(speed, size) > 0
        assert growth < 50
    assert "Export of 3000 rows" in measured


def test_the_jobs_have_all_their_figures(postgres: PostgresServer, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    done = measure(postgres, "jobs", "--wrk=none", f"--results={results}")
    told = done.stdout.decode()
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(results.read_text())["jobs"]

    assert min(found.values()) > 0
    assert "300 jobs that wait" in told
    for processes in ("1 process", "2 processes", "2 processes, by the engine"):
        speed, *slower = figures(told, f"{processes}, with the backlog")
        assert speed > 0
        expected = pytest.approx(found[f"slower by, {processes}, with the backlog"], abs=0.006)
        assert slower == [expected] * 3
    for name in ("added, with the backlog", "added and run, with the backlog"):
        without, added, cost, *_ = figures(told, name)
        assert min(without, added) > 0
        assert cost == pytest.approx(found[f"cost, {name}"], abs=0.006)


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
    # The run is too short for anything but that every request got a response.
    assert ratios["PostgreSQL, 1 worker, 16 connections"] == {"me": 1, "list20": 1, "create": 1}
    for name in ratios:
        assert name in done.stdout.decode()


def test_the_access_log_has_all_its_costs(postgres: PostgresServer, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    done = measure(postgres, "access_log", "--wrk=none", "--seconds=0.2", f"--results={results}")
    costs = json.loads(results.read_text())["access_log"]

    assert done.returncode == 0, done.stdout + done.stderr
    assert list(costs) == ["me", "item", "list20", "create"]
    for name, cost in costs.items():
        without, logged, *spread, _, _, _ = figures(done.stdout.decode(), name)
        assert min(without, logged) > 0
        assert spread == [pytest.approx(cost, abs=0.006)] * 3


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
        "processes": ["me", "item", "list20", "create"],
    }
    expected = {
        "items": [1000],
        "sessions": [100, 1000],
        "pages": [1, 10, 20, 50, 100],
        "processes": [1, 2],
    }
    for name, sizes in expected.items():
        picture = (tmp_path / "pictures" / f"growth-{name}.svg").read_text()
        for curve, points in curves[name].items():
            assert [size for size, _ in points] == sizes
            assert min(value for _, value in points) > 0
            assert f">{curve}</text>" in picture


def test_the_file_of_results_has_the_ratios_of_all_workloads(tmp_path: Path) -> None:
    ratios = [{"me": 0.9}, {"note": 0.6}]
    reports = [Report("", [], results={"ratios": each}) for each in ratios]

    write_results(reports, tmp_path / "results.json")

    assert json.loads((tmp_path / "results.json").read_text()) == {
        "ratios": {"me": 0.9, "note": 0.6}
    }


def test_the_output_names_the_machine(measured: str) -> None:
    machine = measured.splitlines()[0]

    assert f"{os.cpu_count()} cores" in machine
    assert ".".join(map(str, sys.version_info[:3])) in machine


def test_a_broken_promise_is_reported_and_exits_with_1(postgres: PostgresServer) -> None:
    done = measure(postgres, "rotation", MAX_SESSIONS_PER_USER="4")

    assert done.returncode == 1, done.stderr
    assert "BROKEN: refreshes that failed: 1" in done.stdout.decode()


def test_an_unknown_workload_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["calm"])

    assert "no such workload: calm" in capsys.readouterr().err
