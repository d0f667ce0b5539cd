"""The checks, by subject. Importing this package registers all of them, in the order of the table's rows."""

from . import queue, idempotency, kv, errors, retries, routing, results, workers, generations  # noqa: F401
