"""Opening: a plain, gzip or zip file, or standard input, as blocks of text lines.

Lines come in blocks, not singly, because what most files never contain (quotes, comments, bytes
that are not UTF-8) can then be looked for once a block instead of once a line.
"""

import gzip
import struct
import sys
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, cast

from entasis_db.errors import LoadError

CHUNK = 1 << 18
"""Bytes asked for at a time, after decompression."""

LONGEST_LINE = 1 << 20
"""Bytes. A longer line is no line of market data: the file is something else."""


def arrow_kind(path: str | Path) -> Literal["parquet", "arrow"] | None:
    """Tell by its first bytes whether a file is Parquet, Arrow's own format (Feather), or neither.

    OSError if it cannot be read.
    """
    with Path(path).open("rb") as file:
        magic = file.read(6)
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


class Source:
    """A file, or standard input (``-``), that gives its lines in blocks.

    How it is compressed is told by its first bytes, never by its name.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = None if str(path) == "-" else Path(path)
        regular = self._path is not None and self._path.is_file()
        self.name = self._path.name if self._path else "standard input"
        self.rereadable = regular
        """Whether ``blocks`` can be called more than once."""
        self.total_bytes = self._path.stat().st_size if self._path and regular else None
        """Size of the file as it is stored; None for a pipe."""
        self.bytes_read = 0
        """Position in the file as it is stored; for a pipe, bytes of text so far."""
        self.member: str | None = None
        """Base name of the file in a zip archive, as soon as that is open."""

    def blocks(self) -> Generator[Block, None, None]:
        """Read from the beginning.

        All whole lines before a fault are given before LoadError is raised. The last line of an
        uncompressed file counts as whole without a line end: nothing tells that it was cut.
        """
        number = 1
        rest = b""
        with self._open() as raw:
            seekable = raw.seekable()
            try:
                for chunk in _chunks(raw, self):
                    self.bytes_read = raw.tell() if seekable else self.bytes_read + len(chunk)
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
            except EOFError:
                raise LoadError(
                    f"{self.name}: compressed data ends too early after line {number - 1}; rows "
                    "up to there were read; fetch the file again and load it again: nothing is "
                    "loaded twice"
                ) from None
            except (zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
                # Unlike a cut, damage shows only some way behind where it begins, or at the
                # checksum at the very end: what was read before may be wrong.
                raise LoadError(
                    f"{self.name}: compressed data is damaged after line {number - 1} ({error}); "
                    "rows up to there were read, and some may be wrong; fetch the file again and "
                    "load it again: rows that differ are reported as conflicts"
                ) from None
            except OSError as error:
                raise LoadError(
                    f"{self.name}: cannot be read after line {number - 1}: {error.strerror}"
                ) from error
        if self.total_bytes is not None:  # what is left is a zip archive's directory
            self.bytes_read = self.total_bytes
        if rest:
            yield _block(number, rest)

    def _open(self) -> AbstractContextManager[BufferedReader]:
        if self._path is None:
            return nullcontext(cast(BufferedReader, sys.stdin.buffer))
        try:
            return self._path.open("rb")
        except OSError as error:
            raise LoadError(f"{self._path}: cannot be opened: {error.strerror}") from error


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


def _chunks(raw: BufferedReader, source: Source) -> Iterator[bytes]:
    """Decompress; EOFError where the data ends too early, the codec's own error where it is bad.

    ``read1``, not ``read``: it hands out what was decompressed before it meets the fault.
    """
    magic = raw.peek(4)[:4]
    if magic.startswith(b"\x1f\x8b"):
        with gzip.GzipFile(fileobj=raw, mode="rb") as unzipped:
            yield from iter(partial(unzipped.read1, CHUNK), b"")
    elif magic == b"PK\x03\x04":
        if not raw.seekable():
            raise LoadError(
                f"{source.name}: a zip archive cannot be read from a pipe; give the file's name"
            )
        yield from _zip_chunks(raw, source)
    else:
        yield from iter(partial(raw.read1, CHUNK), b"")


def _zip_chunks(raw: BufferedReader, source: Source) -> Iterator[bytes]:
    name = source.name
    try:
        archive = zipfile.ZipFile(raw)
    except zipfile.BadZipFile:
        yield from _cut_zip_chunks(raw, source)
        return
    with archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            names = ", ".join(member.filename for member in members[:5])
            raise LoadError(
                f"{name}: the archive holds {len(members)} files ({names}), and one is expected; "
                "unpack it and load them one by one"
            )
        source.member = PurePosixPath(members[0].filename).name
        try:
            member = cast(zipfile.ZipExtFile, archive.open(members[0]))
        except RuntimeError as error:  # encrypted, or a method that Python does not know
            raise LoadError(f"{name}: cannot be unpacked: {error}") from error
        with member:
            yield from iter(partial(member.read1, CHUNK), b"")


def _cut_zip_chunks(raw: BufferedReader, source: Source) -> Iterator[bytes]:
    """Give what a zip archive without its end still holds, then raise EOFError.

    The directory of an archive stands at its end, so a cut one has none: its first member is
    found by the header before it. Only deflated data is looked for; nothing else is in use.
    """
    raw.seek(0)
    header = raw.read(30)
    if len(header) == 30:
        method, name_length, extra_length = struct.unpack("<8xH16xHH", header)
        if method == zipfile.ZIP_DEFLATED:
            inside = raw.read(name_length).decode("utf-8", "surrogateescape")
            source.member = PurePosixPath(inside).name
            raw.seek(30 + name_length + extra_length)
            inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            while piece := raw.read1(CHUNK >> 4):
                yield inflate.decompress(piece)
    raise EOFError
