"""Clients cannot fill the log."""

from datetime import timedelta

import pytest

from app.core.log_budget import LogBudget


def test_one_line_in_each_interval_for_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("app.core.log_budget.monotonic", lambda: now)
    budget = LogBudget(timedelta(seconds=10))

    assert [budget.take("account"), budget.take("account"), budget.take("user")] == [0, None, 0]
    now += 11

    assert budget.take("account") == 1
    assert budget.take("account") is None
