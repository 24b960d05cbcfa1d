"""The command line: `python cli.py --help`."""

import gc
import sys

# What a start loads it keeps: looking for garbage in it takes a tenth of the time. Here, as the
# processes that serve import this file first.
gc.set_threshold(50_000, 20, 50)

try:
    from app.cli import app
except ModuleNotFoundError as error:
    if error.name != "typer":
        raise
    sys.exit("Error: the packages are missing; make setup, then: .venv/bin/python cli.py")

# Guarded: the processes that serve import this file again when they start.
if __name__ == "__main__":
    app()
