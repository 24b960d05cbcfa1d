"""Modules that libraries shall not find."""

import importlib
import sys
from collections.abc import Iterator

import pytest

from app.core.hidden_modules import hidden

# Of the standard library, and harmless to load twice.
NAME = "colorsys"


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, NAME, raising=False)
        yield
        sys.modules.pop(NAME, None)


def test_a_hidden_module_is_found_again_afterwards() -> None:
    with hidden(NAME), pytest.raises(ModuleNotFoundError):
        importlib.import_module(NAME)

    assert importlib.import_module(NAME).__name__ == NAME


def test_it_is_found_again_after_an_error() -> None:
    with pytest.raises(ImportError), hidden(NAME):
        raise ImportError

    assert importlib.import_module(NAME).__name__ == NAME


def test_what_somebody_uses_already_stays() -> None:
    used = importlib.import_module(NAME)

    with hidden(NAME):
        assert importlib.import_module(NAME) is used
    assert importlib.import_module(NAME) is used
