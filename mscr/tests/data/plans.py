"""Execution plans of the queries that the application really sends to PostgreSQL."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

ANALYZE = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) "


@dataclass
class Sent:
    """A statement as the driver received it."""

    statement: str
    parameters: Any


@contextmanager
def sent_to(engine: AsyncEngine) -> Iterator[list[Sent]]:
    """Record the statements that are sent within the block."""
    statements: list[Sent] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        statements.append(Sent(statement, parameters))

    ask = asyncpg.Connection.fetch

    async def note_prepared(connection: Any, statement: str, *parameters: Any) -> Any:
        # Prepared statements bypass the engine's events.
        statements.append(Sent(statement, parameters))
        return await ask(connection, statement, *parameters)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    with patch.object(asyncpg.Connection, "fetch", note_prepared):
        yield statements
    event.remove(engine.sync_engine, "before_cursor_execute", note)


@dataclass
class Plan:
    """The plan of one statement after its execution (EXPLAIN ANALYZE)."""

    root: dict[str, Any]

    @property
    def pages(self) -> int:
        """Count the pages read of tables and indexes.

        Load from other tests does not change the count.
        """
        return int(self.root["Shared Hit Blocks"] + self.root["Shared Read Blocks"])

    def nodes(self) -> Iterator[dict[str, Any]]:
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.get("Plans", [])

    def describe(self) -> list[str]:
        """Return one line for each node, for the message of a failed assertion."""
        return [
            f"{node['Node Type']} {node.get('Index Name', '')} rows {node['Actual Rows']}"
            f" pages {node['Shared Hit Blocks'] + node['Shared Read Blocks']}"
            f" {node.get('Index Cond', '')} {node.get('Filter', '')}"
            for node in self.nodes()
        ]

    @property
    def indexes(self) -> set[str]:
        """Return the indexes that were read, without those of nodes that never ran."""
        return {n["Index Name"] for n in self.nodes() if "Index Name" in n and n["Actual Loops"]}

    @property
    def computed(self) -> int:
        """Count how often the subquery that computes a displayed value ran."""
        return max(
            (n["Actual Loops"] for n in self.nodes() if n.get("Parent Relationship") == "SubPlan"),
            default=0,
        )

    @property
    def read_through(self) -> set[str]:
        """Return the tables that were scanned sequentially."""
        return {n["Relation Name"] for n in self.nodes() if n["Node Type"].endswith("Seq Scan")}


async def explain(engine: AsyncEngine, sent: Sent) -> Plan:
    async with engine.connect() as connection:
        result = await connection.exec_driver_sql(ANALYZE + sent.statement, sent.parameters)
        found = result.scalar_one()
    document = json.loads(found) if isinstance(found, str) else found
    return Plan(document[0]["Plan"])
