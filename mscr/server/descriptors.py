"""The number of files and connections that a process may have open."""

import logging
import sys

log = logging.getLogger("uvicorn.error")


def allow_descriptors(wanted: int) -> int:
    """Raise our own limit to `wanted` if the system lets us, and return what may be used.

    The usual limit of 1024 is less than a thousand connections and a pool need. A process that has
    none left can neither accept a connection nor open one to its database.
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
        log.warning("%d open files are needed, and %d allowed: raise ulimit -n", wanted, allowed)
    return allowed
