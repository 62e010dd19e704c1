"""Opening: a plain, gzip or zip file, or standard input, as blocks of text lines.

Lines come in blocks, not singly, because what most files never contain (quotes, comments, bytes
that are not UTF-8) can then be looked for once a block instead of once a line.
"""

import copy
import os
import stat
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple, cast

from entasis_db.errors import LoadError
from entasis_db.readers.containers import (
    DAMAGE,
    FAULTS,
    Spool,
    container_of,
    peeked,
    refuse_other_contents,
    unpacked,
)
from entasis_db.readers.json_lines import is_json, lines_of

LONGEST_LINE = 1 << 20
"""Bytes. A longer line is no line of market data: the file is something else."""


def size_of(path: str | Path) -> int | None:
    """Return the bytes of a regular file, or of one that standard input (``-``) is.

    None for a pipe, a folder, or what there is not. LoadError where nobody may look.
    """
    try:
        found = os.fstat(sys.stdin.buffer.fileno()) if str(path) == "-" else Path(path).stat()
    except PermissionError as error:
        raise LoadError(f"{path}: cannot be opened: {error.strerror}") from error
    except (OSError, ValueError, AttributeError):  # not there, no name, or no descriptor
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def arrow_kind(path: str | Path) -> Literal["parquet", "arrow"] | None:
    """Tell by its first bytes whether a file is Parquet, Arrow's own format (Feather), or neither.

    LoadError if it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            magic = file.read(6)
    except OSError as error:
        raise LoadError(f"{path}: cannot be opened: {error.strerror}") from error
    if magic.startswith(b"PAR1"):
        return "parquet"
    return "arrow" if magic == b"ARROW1" else None


class Block(NamedTuple):
    """Some whole lines in a row."""

    first: int
    """The number of the first of them; a file's first line is 1."""
    lines: list[str]
    """Without their line ends. Bytes that are not UTF-8 stand as lone surrogates."""
    odd: bool
    """Whether any of them may need more than being split at its commas."""
    ended: bool = True
    """False for the one line at the end of a file that has no line end, if nothing vouches for it:
    it may be cut."""


class Source:
    """A file, or standard input (``-``), that gives its lines in blocks.

    How it is compressed is told by its first bytes, never by its name. What is compressed is read
    to its end, and its checksum verified, before the first block is given; a compressed pipe is
    kept in a temporary file for that.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = None if str(path) == "-" else Path(path)
        self._spool: Spool | None = None
        self._verified = False
        self.name = self._path.name if self._path else "standard input"
        self.total_bytes = size_of(path)
        """Size of the file as it is stored; None for a pipe."""
        self.rereadable = self._path is not None and self.total_bytes is not None
        """Whether ``blocks`` can be called more than once; known when it was called once."""
        self.bytes_read = 0
        """Position in the file as it is stored; for a pipe, bytes of text so far."""
        self.member: str | None = None
        """Base name of the file in a zip archive, as soon as that is open."""

    def again(self) -> "Source":
        """Return the same, if it is ``rereadable``, to be read from its beginning meanwhile."""
        other = copy.copy(self)
        other.bytes_read = 0
        return other

    def blocks(self) -> Generator[Block, None, None]:
        """Read from the beginning.

        LoadError, before any line is given, for a compressed file that is cut or damaged. All whole
        lines before any other fault are given before it is raised. A last line without a line end
        is whole only in a compressed file.
        """
        number = 1
        rest = b""
        with ExitStack() as stack:
            raw = stack.enter_context(self._open())
            with self._faults("rows up to there were read", lambda: number - 1):
                raw, packed = self._verify(stack, raw)
                chunks = self._counted(raw)
                begin = next(chunks, b"")
                if is_json(begin):
                    for lines in lines_of(self.name, chain([begin], chunks)):
                        yield Block(number, lines, odd=True)
                        number += len(lines)
                    begin = b""
                for chunk in chain([begin], chunks):
                    end = chunk.rfind(b"\n")
                    if end < 0:
                        rest += chunk
                    else:
                        block = _block(number, rest + chunk[:end])
                        rest = chunk[end + 1 :]
                        yield block
                        number += len(block.lines)
                    if len(rest) > LONGEST_LINE:
                        raise LoadError(
                            f"{self.name}, line {number}: longer than {LONGEST_LINE} bytes, so "
                            "this is no file of market data"
                        )
        if self.total_bytes is not None:  # what is left is a zip archive's directory
            self.bytes_read = self.total_bytes
        if rest:
            yield _block(number, rest)._replace(ended=packed)

    def _counted(self, raw: BufferedReader) -> Iterator[bytes]:
        """Read on, and keep count of how far that is."""
        seekable = raw.seekable()
        for chunk in _chunks(raw, self):
            if not self.bytes_read:
                refuse_other_contents(self.name, chunk)
            self.bytes_read = raw.tell() if seekable else self.bytes_read + len(chunk)
            yield chunk

    def _verify(self, stack: ExitStack, raw: BufferedReader) -> tuple[BufferedReader, bool]:
        """Return what is to be read, and whether it is packed in something with a checksum."""
        self.bytes_read = 0
        raw = peeked(raw)
        if container_of(raw.peek(4)[:4]) is None:
            return raw, False
        if not self.rereadable:
            self._spool = Spool(self.name, raw)
            self.total_bytes, self.rereadable = self._spool.size, True
            raw = stack.enter_context(self._open())
        if not self._verified:
            lines = 0
            with self._faults("nothing of it was loaded", lambda: lines):
                for chunk in _chunks(raw, self):
                    lines += chunk.count(b"\n")
            self._verified = True
            raw.seek(0)
        return raw, True

    @contextmanager
    def _faults(self, read: str, lines: Callable[[], int]) -> Iterator[None]:
        """Tell of a fault of the data as LoadError."""
        again = f"; {read}; fetch the file again and load it again: nothing is loaded twice"
        try:
            yield
        except EOFError:
            raise LoadError(
                f"{self.name}: compressed data ends too early after line {lines()}{again}"
            ) from None
        except FAULTS as error:
            # Unlike a cut, damage shows only some way behind where it begins, or at the checksum at
            # the very end.
            if isinstance(error, DAMAGE) or not (isinstance(error, OSError) and error.strerror):
                raise LoadError(
                    f"{self.name}: compressed data is damaged after line {lines()} ({error}){again}"
                ) from None
            raise LoadError(
                f"{self.name}: cannot be read after line {lines()}: {error.strerror}"
            ) from error

    def _open(self) -> AbstractContextManager[BufferedReader]:
        if self._spool is not None:
            return self._spool.open()
        if self._path is None:
            if sys.stdin is None:
                raise LoadError(f"{self.name} is closed: give a file's name")
            return nullcontext(cast(BufferedReader, sys.stdin.buffer))
        try:
            return self._path.open("rb")
        except OSError as error:
            files = "; give the files in it" if isinstance(error, IsADirectoryError) else ""
            raise LoadError(f"{self._path}: cannot be opened: {error.strerror}{files}") from error
        except ValueError as error:  # a NUL in its name
            raise LoadError(f"{self.name!a}: cannot be opened: {error}") from error


def _chunks(raw: BufferedReader, source: Source) -> Iterator[bytes]:
    """Decompress what is compressed; the errors are those of ``unpacked``."""
    member, chunks = unpacked(raw, source.name)
    source.member = member
    return chunks


def _block(number: int, data: bytes) -> Block:
    text = data.decode("utf-8", "surrogateescape")
    if number == 1:
        text = text.removeprefix("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").removesuffix("\r")
    # Each of these is explained where odd lines are handled, in rows.fields_of.
    odd = (
        not text.isascii()
        or any(character in text for character in '"_\0')
        or text.startswith("#")
        or "\n#" in text
    )
    return Block(number, text.split("\n"), odd)
