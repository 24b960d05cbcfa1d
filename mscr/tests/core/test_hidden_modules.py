"""Modules that are hidden from libraries while these are imported."""

import importlib
import sys
from collections.abc import Iterator

import pytest

from mscr.core.hidden_modules import hidden

# A module of the standard library that is harmless to load twice.
NAME = "colorsys"


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, NAME, raising=False)
        yield
        sys.modules.pop(NAME, None)


def test_a_hidden_module_can_be_imported_afterwards() -> None:
    with hidden(NAME), pytest.raises(ModuleNotFoundError):
        importlib.import_module(NAME)

    assert importlib.import_module(NAME).__name__ == NAME


def test_a_hidden_module_can_be_imported_after_an_error() -> None:
    with pytest.raises(ImportError), hidden(NAME):
        raise ImportError

    assert importlib.import_module(NAME).__name__ == NAME


def test_an_imported_module_is_not_hidden() -> None:
    used = importlib.import_module(NAME)

    with hidden(NAME):
        assert importlib.import_module(NAME) is used
    assert importlib.import_module(NAME) is used
