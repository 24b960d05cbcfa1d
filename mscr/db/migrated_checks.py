"""Write migrations that add check constraints without blocking writers (Alembic autogenerate).

PostgreSQL would read all rows under a lock that excludes everybody. A new constraint is therefore
NOT VALID at first, and validated after the transaction. To leave nothing half done, a migration
refuses rows that violate the constraint before it changes anything.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy import CheckConstraint

from mscr.db.migrated_indexes import concurrently

# In `info` of an operation that adds a constraint: rows of the table may violate it.
UNPROVED: Final = "unproved"


class _Step(ops.OpContainer):
    """A step for some constraints. It contains no operation, and so is no difference."""

    def __init__(self, checks: Sequence[CheckConstraint]) -> None:
        super().__init__()
        self.checks = checks


class _Refusal(_Step): ...


class _Validation(_Step): ...


def add_steps(_context: Any, _revision: Any, scripts: Iterable[ops.MigrationScript]) -> None:
    """Add the steps before and after the changes (Alembic's `process_revision_directives`).

    A migration that only creates an index does so concurrently.
    """
    for script in scripts:
        for upgrade in script.upgrade_ops_list:
            added = list(_added(upgrade.ops))
            unproved = [operation for operation in added if operation.info[UNPROVED]]
            changes = concurrently(upgrade.ops)
            upgrade.ops = [*_step(_Refusal, unproved), *changes, *_step(_Validation, added)]


def _step(kind: type[_Step], added: Iterable[ops.CreateCheckConstraintOp]) -> list[_Step]:
    checks = [operation.to_constraint() for operation in added]
    return [kind(checks)] if checks else []


def _added(operations: Iterable[ops.MigrateOperation]) -> Iterator[ops.CreateCheckConstraintOp]:
    for operation in operations:
        for change in operation.ops if isinstance(operation, ops.ModifyTableOps) else ():
            if isinstance(change, ops.CreateCheckConstraintOp):
                yield change


@renderers.dispatch_for(_Refusal)
def _render_refusal(context: AutogenContext, step: _Refusal) -> list[str]:
    context.imports.add("from alembic.util import CommandError")
    lines = ["if not op.get_context().as_sql:"]
    for check in step.checks:
        table = _table(context, check)
        query = f"SELECT count(*) FROM {table} WHERE NOT ({check.sqltext})"  # noqa: S608  # the model's
        lines += [
            f"unfit = {query!r}",
            "if rows := op.get_bind().exec_driver_sql(unfit).scalar():",
            f'raise CommandError(f"{{rows}} rows of {table} violate {check.name}")',
            "",
        ]
    return [*lines, ""]


@renderers.dispatch_for(_Validation)
def _render_validation(context: AutogenContext, step: _Validation) -> list[str]:
    quote = context.migration_context.dialect.identifier_preparer.quote
    statements = [
        f"ALTER TABLE {_table(context, check)} VALIDATE CONSTRAINT {quote(str(check.name))}"
        for check in step.checks
    ]
    return [
        'if op.get_context().dialect.name == "postgresql":',
        "# Reads all rows, and blocks no writer: a transaction would keep its lock.",
        "with op.get_context().autocommit_block():",
        *(f"op.execute({statement!r})" for statement in statements),
        "",
        "",
    ]


def _table(context: AutogenContext, check: CheckConstraint) -> str:
    return context.migration_context.dialect.identifier_preparer.format_table(check.table)
