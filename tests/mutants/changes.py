"""What could be written by mistake: each comparison and bound of a file, and its neighbour."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pglast.parser import Token, scan

_NEIGHBOURS = {
    "<": ("<=",),
    "<=": ("<",),
    ">": (">=",),
    ">=": (">",),
    "<>": ("=",),
    "and": ("OR",),
    "or": ("AND",),
    "not": ("",),
    "least": ("greatest",),
    "greatest": ("least",),
    "min": ("max",),
    "max": ("min",),
    "+": ("-",),
    "-": ("+",),
    "asc": ("DESC",),
    "desc": ("ASC",),
    "bool_or": ("bool_and",),
    "bool_and": ("bool_or",),
}
_DDL = {"create", "if"}


@dataclass(frozen=True)
class Change:
    """One change of one file."""

    path: Path
    """Of the file, below the root of the repository."""
    start: int
    """Where the text begins that is changed, in bytes."""
    old: str
    """What stands there."""
    new: str
    """What is written instead."""
    line: int
    """In which line, from 1."""

    def __str__(self) -> str:
        """Name it as a compiler would."""
        return f"{self.path}:{self.line}: {self.old} -> {self.new or 'nothing'}"

    def apply(self, root: Path) -> None:
        """Change the file below another root."""
        text = (root / self.path).read_bytes()
        end = self.start + len(self.old.encode())
        if text[self.start : end].decode() != self.old:
            raise ValueError(f"{self.path} is not what the change was made for")
        (root / self.path).write_bytes(text[: self.start] + self.new.encode() + text[end:])


def changes(root: Path, path: Path) -> Iterator[Change]:
    """Return each change of a file of SQL, in the order of its text."""
    text = (root / path).read_bytes()
    found = [
        (start, old, new) for start, old in _places(text, 0) for new in _NEIGHBOURS[old.lower()]
    ]
    found += [(start, old, "") for start, old in _conjuncts(text)]
    for start, old, new in sorted(found):
        yield Change(path, start, old, new, text[:start].count(b"\n") + 1)


def _conjuncts(text: bytes) -> Iterator[tuple[int, str]]:
    """Return the conditions that have a line of their own, and could have been forgotten."""
    for match in re.finditer(rb"^ +(AND [^\n]*?)(?=(?: THEN|;)?$)", text, re.MULTILINE):
        condition = match[1].decode()
        before = text[: match.start()].rstrip().rpartition(b"\n")[2].decode()
        halves = [part for part in (before, condition) if re.search("BETWEEN (?!.* AND )", part)]
        if condition.count("(") == condition.count(")") and not halves:
            yield match.start(1), condition


def _places(text: bytes, offset: int) -> Iterator[tuple[int, str]]:
    """Return where a word or operator stands that has neighbours; bodies are looked into."""
    # named parameters of Python are no SQL, and as long as what stands for them
    sql = text.replace(b"%(", b"$(").replace(b")s", b") ")
    words: list[str] = []
    between = 0
    tokens: list[Token] = scan(sql.decode("latin-1"))
    for token in tokens:
        word = text[token.start : token.end + 1].decode()
        lowered = word.lower()
        if token.name == "SQL_COMMENT":
            continue
        if lowered.startswith("$$"):
            body = token.start + 2
            yield from _places(text[body : token.end - 1], offset + body)
        if lowered == "between":
            between += 1
        elif lowered == "and" and between:
            between -= 1
        elif lowered in _NEIGHBOURS and not _is_grammar(lowered, words):
            yield offset + token.start, word
        words = [*words[-3:], lowered]


def _is_grammar(word: str, before: list[str]) -> bool:
    """Tell whether a word only belongs to the grammar of a statement, such as CREATE OR REPLACE."""
    last = before[-1] if before else ""
    if word == "or":
        return last == "create"
    if word == "not":
        return last in _DDL
    if word in {"+", "-"}:
        # a sign
        return last in {*"(,=<>", "and", "between", "by", "default", "else", "return", "then"}
    if word in {"min", "max"}:
        return last == "."
    return False
