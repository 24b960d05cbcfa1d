"""The limit on open file descriptors of a process, which connections use too."""

import logging
import sys

log = logging.getLogger("uvicorn.error")


def allow_descriptors(wanted: int) -> int:
    """Raise this process's limit towards `wanted`, and return the limit that holds now.

    The usual limit of 1024 is too low for a thousand connections and a pool. A process without a
    free descriptor can neither accept a connection nor open one to its database.
    """
    if sys.platform == "win32":
        return wanted
    import resource  # noqa: PLC0415 - not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= wanted:
        return wanted
    allowed = wanted if hard == unlimited else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning(
            "%d open files are needed, but only %d allowed: raise ulimit -n", wanted, allowed
        )
    return allowed
