"""The command line: `python cli.py --help`."""

from app.cli import app

# Guarded: the processes that serve import this file again when they start.
if __name__ == "__main__":
    app()
