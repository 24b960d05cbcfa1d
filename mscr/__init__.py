"""The kit: what every project of this shape has in common. A release replaces it whole.

It imports nothing of `app`. README.md lists its public names, CHANGELOG.md says what to do.
"""

from typing import Final

from mscr.core.hidden_modules import hidden

__version__: Final = "0.1.0"

# Warning: keep this before any other import of the kit. structlog loads rich wherever it is
# installed, for tracebacks with local variables, passwords among them; that is 4 MB of each worker.
with hidden("rich"):
    import structlog  # noqa: F401  # see above
