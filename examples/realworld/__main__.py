"""The command line: `python -m examples.realworld --help`."""

import gc

# A start keeps all that it loads: looking for garbage in it takes a tenth of the time.
gc.set_threshold(50_000, 20, 50)

# The threshold comes first.
# ruff: noqa: E402
from examples.realworld.cli import app

# Guarded: the processes that serve import this file again when they start.
if __name__ == "__main__":
    app()
