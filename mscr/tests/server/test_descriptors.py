"""File descriptors: the limit is raised to what the connections need, if the system allows it."""

import sys

import pytest

from mscr.server.descriptors import allow_descriptors

resource = pytest.importorskip("resource")


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Replace the process's limits with a list whose last entry is in force."""
    found = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: found[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: found.append(pair))
    return found


@pytest.mark.parametrize(("wanted", "allowed"), [(1000, 1024), (2000, 2000), (9000, 4096)])
def test_the_limit_is_raised_as_far_as_the_system_allows(
    limits: list[tuple[int, int]], wanted: int, allowed: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert allow_descriptors(wanted) == min(wanted, allowed)
    assert limits[-1] == (allowed, 4096)
    assert ("raise ulimit -n" in caplog.text) == (allowed < wanted)


def test_the_limit_is_raised_fully_without_a_hard_limit(
    limits: list[tuple[int, int]],
) -> None:
    limits.append((1024, resource.RLIM_INFINITY))

    assert allow_descriptors(9000) == 9000


def test_windows_has_no_such_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")

    assert allow_descriptors(10**9) == 10**9
