"""Log flooding: clients cannot fill the log."""

from datetime import timedelta

import pytest

from mscr.core.log_budget import LogBudget


def test_each_kind_of_event_is_logged_once_per_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("mscr.core.log_budget.monotonic", lambda: now)
    budget = LogBudget(timedelta(seconds=10))

    assert [budget.take("account"), budget.take("account"), budget.take("user")] == [0, None, 0]
    now += 11

    assert budget.take("account") == 1
    assert budget.take("account") is None
