"""The errors, tokens and ids that a given contract dictates: see docs/dialects.md."""

from typing import Final

from mscr.http.dialect import Dialect

DIALECT: Final = Dialect()
