"""The floors are raised by retention, and their tests begin with the same rows."""

from tests.contract.retention.conftest import admin, months, old

__all__ = ["admin", "months", "old"]
