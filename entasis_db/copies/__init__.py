"""Logical copies: a dump that says what it holds, and a restore that is compared with it."""

from entasis_db.copies.dumped import Dumped
from entasis_db.copies.dumping import dump
from entasis_db.copies.restoring import RestoredDump, compare_with_dump, restore_dump

__all__ = ["Dumped", "RestoredDump", "compare_with_dump", "dump", "restore_dump"]
