"""Names of the HTTP headers that more than one module reads or sends."""

from typing import Final

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
IDEMPOTENCY_REPLAYED: Final = "Idempotency-Replayed"
IF_MATCH: Final = "If-Match"
IF_NONE_MATCH: Final = "If-None-Match"
