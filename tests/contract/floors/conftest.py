"""The floors are raised by retention, and their tests begin with the same rows."""

from tests.contract.retention.conftest import admin, old, prepare

__all__ = ["admin", "old", "prepare"]
