"""Entasis DB: the database of a digital-asset trading desk, and its typed named queries."""

from importlib.metadata import version


def release() -> str:
    """Return the version of the installed package, such as ``0.1.0``."""
    return version("entasis-db")
