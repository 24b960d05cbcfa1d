"""The machine of a benchmark, and the assignment of its cores."""

import os
import platform
from dataclasses import dataclass, replace
from typing import Self

MINIMUM_CORES = 2


@dataclass(frozen=True)
class Cores:
    """One core for the server, the others for load and PostgreSQL; empty if unassignable."""

    server: frozenset[int] = frozenset()
    load: frozenset[int] = frozenset()

    @classmethod
    def divide(cls) -> Self:
        """Keep this process, and all that it starts from now on, off the server's core."""
        if not hasattr(os, "sched_setaffinity"):
            return cls()
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) < MINIMUM_CORES:
            return cls()
        # Not the first one, on which most machines handle their interrupts.
        cores = cls(server=frozenset(usable[-1:]), load=frozenset(usable[:-1]))
        os.sched_setaffinity(0, cores.load)
        return cores

    @property
    def shared(self) -> Self:
        """Return all cores, for servers of several processes. They share some with the load."""
        return replace(self, server=self.server | self.load)

    def give_server_core(self, process_id: int) -> None:
        """Move a process that was just started. Threads that it has already would not move."""
        if self.server:
            os.sched_setaffinity(process_id, self.server)

    def __str__(self) -> str:
        if not self.server:
            return "server, load and PostgreSQL on the same cores"
        server, load = (", ".join(map(str, sorted(part))) for part in (self.server, self.load))
        return f"server on core {server}, load and PostgreSQL on core {load}"


def describe(cores: Cores) -> str:
    """Return two lines: the machine, and its other load, which affects the figures."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    machine = f"{os.cpu_count()} cores, {platform.system()}, {python}; {cores}"
    return f"{machine}\n{_other_work()}"


def _other_work() -> str:
    if not hasattr(os, "getloadavg"):
        return "what else runs here is not known"
    return f"processes that wanted to run in the last minute: {os.getloadavg()[0]:.1f}"
