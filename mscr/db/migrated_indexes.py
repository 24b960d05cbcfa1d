"""Write migrations that create an index without blocking writers (Alembic autogenerate)."""

from collections.abc import Iterable
from typing import Final

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import render_op
from alembic.operations import ops

_REASON: Final = (
    "# Blocks no writer, and cannot be rolled back: nothing else belongs into this migration."
)


class _Concurrently(ops.OpContainer):
    """The only operation of a migration: an index of a table that exists."""


def concurrently(operations: Iterable[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
    """Create the index outside of a transaction, if it is the only change of the migration.

    Beside other changes it stays in their transaction, so that a failure leaves nothing half done.
    `make check` then refuses it.
    """
    match [*operations]:
        case [ops.ModifyTableOps(ops=[ops.CreateIndexOp() as index])]:
            index.kw["postgresql_concurrently"] = True
            return [_Concurrently([index])]
        case several:
            return several


@renderers.dispatch_for(_Concurrently)
def _render(context: AutogenContext, alone: _Concurrently) -> list[str]:
    [index] = alone.ops
    block = "with op.get_context().autocommit_block():"
    return [_REASON, block, *render_op(context, index), "", ""]
