"""Entasis DB: the database of a digital-asset trading desk, and its typed named queries."""

from importlib.metadata import version

__version__ = version("entasis-db")
"""The version of the installed package, such as ``0.1.0``; it is also the database's release."""
