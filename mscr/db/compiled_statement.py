"""A statement compiled for one driver: its parameters, its rows, and its execution by asyncpg."""

import logging
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from typing import Any, Final

from sqlalchemy import BindParameter, Dialect, Float, Insert, Numeric, Select, Update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import TypeEngine

from mscr.db.column_types import plain_type
from mscr.db.fair_pool import take_connection
from mscr.db.shared_connection import SharedConnection

Statement = Select[*tuple[Any, ...]] | Insert | Update
Process = Callable[[Any], Any]
Tracer = Callable[[AsyncEngine, str], AbstractContextManager[object]]

# Entered around each execution that bypasses SQLAlchemy's own events, with the statement's text.
TRACERS: Final[list[Tracer]] = []

# PostgreSQL's OIDs of the types FLOAT8 and NUMERIC.
_FLOAT_OID: Final = 701
_DECIMAL_OID: Final = 1700


class CompiledStatement:
    """Checks the values of a statement, and gives its rows names and the types of its columns."""

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        named = [bind for bind in compiled.binds.values() if not bind.unique]
        self._parameters = frozenset(bind.key for bind in named)
        self._required = frozenset(bind.key for bind in named if bind.required)
        # No public attribute has the names and types that SQLAlchemy's own rows have.
        columns = compiled._result_columns  # noqa: SLF001
        self._row = row_class(tuple(column.keyname for column in columns))
        if dialect.driver != "asyncpg":
            return
        if compiled.post_compile_params:
            raise TypeError("a statement whose text depends on its values cannot be prepared")
        self._text: str = compiled.string
        self._binds = [_Bind(compiled.binds[name], dialect) for name in compiled.positiontup]
        processors = [_result_processor(column.type, dialect) for column in columns]
        self._processors = [
            (index, process) for index, process in enumerate(processors) if process is not None
        ]

    def check(self, values: Mapping[str, Any]) -> None:
        """Raise `TypeError` unless there is a value for each parameter, and no other."""
        given = values.keys()
        if given == self._required:
            return
        if unknown := given - self._parameters:
            raise TypeError(f"the statement has no bind parameter {', '.join(sorted(unknown))}")
        if missing := self._required - given:
            raise TypeError(f"the statement needs a value for {', '.join(sorted(missing))}")

    def rows(self, found: Iterable[Sequence[Any]]) -> Sequence[Any]:
        """Return named tuples of SQLAlchemy's rows, whose values have their types."""
        new, row = tuple.__new__, self._row
        return [new(row, values) for values in found]

    def typed(self, records: Sequence[Any]) -> Sequence[Any]:
        """Return named tuples of asyncpg's records, with the types that SQLAlchemy's rows have."""
        processors = self._processors
        if not processors:
            return self.rows(records)
        new, row = tuple.__new__, self._row
        rows = []
        for record in records:
            values = list(record)
            for index, process in processors:
                values[index] = process(values[index])
            rows.append(new(row, values))
        return rows

    async def fetch(
        self, engine: AsyncEngine, values: dict[str, Any], shared: SharedConnection | None
    ) -> Sequence[Any]:
        """Execute the statement on asyncpg's own connection, commit, and return the records.

        With `shared`, take its connection if it has one, and leave the connection there afterwards.
        """
        pooled = None if shared is None else shared.take()
        if pooled is None:
            pooled = await take_connection(engine)
        driver: Any = pooled.driver_connection
        records: Sequence[Any]
        try:
            arguments = [bind.value(values) for bind in self._binds]
            if TRACERS or engine.sync_engine.logger.isEnabledFor(logging.INFO):
                records = await self._fetch_observed(engine, driver, arguments)
            else:
                records = await driver.fetch(self._text, *arguments)
        except BaseException as error:
            if getattr(error, "sqlstate", None) and not driver.is_closed():
                # The server refused the statement. The connection is still good.
                pooled.close()
            else:
                # Discard a broken connection, and that of a cancelled request: its state is
                # unknown.
                pooled.invalidate()
            raise
        if shared is None:
            pooled.close()
        else:
            shared.keep(pooled)
        return records

    async def _fetch_observed(
        self, engine: AsyncEngine, driver: Any, arguments: Sequence[Any]
    ) -> Sequence[Any]:
        sync_engine = engine.sync_engine
        sync_engine.logger.info(self._text)
        shown = "[parameters hidden]" if sync_engine.hide_parameters else repr(tuple(arguments))
        sync_engine.logger.info("[prepared] %s", shown)
        with ExitStack() as stack:
            for tracer in TRACERS:
                stack.enter_context(tracer(engine, self._text))
            records: Sequence[Any] = await driver.fetch(self._text, *arguments)
        return records


class _Bind:
    def __init__(self, bind: BindParameter[Any], dialect: Dialect) -> None:
        self._name = bind.key
        self._process: Process | None = bind.type.dialect_impl(dialect).bind_processor(dialect)
        self._default = None if bind.required else self._processed(bind.effective_value)

    def value(self, values: dict[str, Any]) -> Any:
        if self._name not in values:
            return self._default
        value = values[self._name]
        return self._processed(value() if callable(value) else value)

    def _processed(self, value: Any) -> Any:
        return value if self._process is None else self._process(value)


@cache
def row_class(names: tuple[str, ...]) -> type[tuple[Any, ...]]:
    """Return the class of rows with these columns."""
    make: Callable[..., type[tuple[Any, ...]]] = namedtuple
    return make("Row", names, rename=True)


def _result_processor(type_: TypeEngine[Any], dialect: Dialect) -> Process | None:
    implementation = type_.dialect_impl(dialect)
    of_decimals: Process | None = implementation.result_processor(dialect, _DECIMAL_OID)
    if not isinstance(plain_type(type_, dialect), Numeric | Float):
        return of_decimals
    of_floats: Process | None = implementation.result_processor(dialect, _FLOAT_OID)
    return _number_processor(of_floats, of_decimals)


def _number_processor(of_floats: Process | None, of_decimals: Process | None) -> Process:
    """Choose by each value: the type of an expression is not known before it is executed."""

    def process(value: Any) -> Any:
        chosen = of_floats if isinstance(value, float) else of_decimals
        return value if chosen is None else chosen(value)

    return process
