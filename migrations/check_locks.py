"""Find migrations that would lock a large table against requests: `make check` runs this."""

from app.core.config import PROJECT_ROOT
from mscr.checks.migration_locks import main

if __name__ == "__main__":
    main(PROJECT_ROOT)
