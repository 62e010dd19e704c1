"""Containers: what a file is by its first bytes, and what is packed in a gzip or a zip archive."""

import gzip
import io
import os
import shutil
import struct
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from io import BufferedReader
from pathlib import PurePosixPath
from typing import IO, Literal, cast

from entasis_db.errors import LoadError

CHUNK = 1 << 18
"""Bytes asked for at a time, after decompression."""

DAMAGE: tuple[type[Exception], ...] = (
    *(zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, struct.error),
    *(ValueError, OverflowError, MemoryError),
)
"""What decompressing damaged data raises, beside OSError without a number."""
with suppress(ImportError):  # not every Python has it
    from lzma import LZMAError

    DAMAGE += (LZMAError,)
FAULTS: tuple[type[Exception], ...] = (*DAMAGE, OSError)
"""And what reading raises."""
_NO_LIST: tuple[type[Exception], ...] = (*FAULTS, EOFError, NotImplementedError)

_MAGIC = 4
_GZIP = b"\x1f\x8b"
_ZIPS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")

_FOREIGN = (
    (b"\xfd7zXZ\0", "compressed by xz"),
    (b"BZh", "compressed by bzip2"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"\x04\x22\x4d\x18", "compressed by lz4"),
    (b"\x5d\0\0", "compressed by lzma"),
    (b"\x1f\x9d", "compressed by compress"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
)


def container_of(magic: bytes) -> Literal["gzip", "zip"] | None:
    """Tell by its first bytes what a file is packed in."""
    if magic.startswith(_GZIP):
        return "gzip"
    return "zip" if magic.startswith(_ZIPS) else None


def refuse_other_contents(name: str, data: bytes) -> None:
    """Raise LoadError if what was unpacked is no text, by its first bytes."""
    for magic, what in _FOREIGN:
        if data.startswith(magic) and (magic != b"BZh" or data[3:4].isdigit()):
            raise LoadError(
                f"{name} is {what}, which is not read here: unpack it, and load what is in it"
            )
    if container_of(data) or data[257:262] == b"ustar":
        what = "a tar archive" if data[257:262] == b"ustar" else "an archive in an archive"
        raise LoadError(f"{name} is {what}: unpack it, and load what is in it")
    if data.startswith((b"PAR1", b"ARROW1")):
        raise LoadError(
            f"{name} is Parquet or Arrow, which is read only of trades and quotes and not from a "
            "pipe or an archive: give the file itself"
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise LoadError(f"{name} is text in UTF-16: convert it to UTF-8")


def peeked(pipe: BufferedReader) -> BufferedReader:
    """Return a pipe whose first bytes can be looked at, however few came at first."""
    if pipe.seekable() or len(pipe.peek(_MAGIC)) >= _MAGIC:
        return pipe
    return BufferedReader(_Joined(pipe.read(_MAGIC), pipe))


class _Joined(io.RawIOBase):
    """Some bytes, and what comes after them."""

    def __init__(self, first: bytes, rest: BufferedReader) -> None:
        self._first = first
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        data = self._first[: len(buffer)] or self._rest.read1(len(buffer))
        self._first = self._first[len(data) :]
        buffer[: len(data)] = data
        return len(data)


class Spool:
    """What came through a pipe, in a temporary file without a name.

    LoadError where there is no room, or the pipe cannot be read.
    """

    def __init__(self, name: str, pipe: IO[bytes]) -> None:
        try:
            with tempfile.TemporaryFile(prefix="entasis-") as file:
                shutil.copyfileobj(pipe, file, CHUNK)
                file.flush()
                self.size = file.tell()
                self.descriptor = os.dup(file.fileno())
        except OSError as error:
            raise LoadError(
                f"{name}: a compressed pipe is kept in {tempfile.tempdir or 'a temporary folder'} "
                f"until its checksum is verified, and that failed: {error.strerror}. Nothing of it "
                "was loaded; let TMPDIR name a folder with room, or give the file's name"
            ) from error
        weakref.finalize(self, os.close, self.descriptor)

    def open(self) -> BufferedReader:
        """Open it at its beginning, whoever else is reading it somewhere else."""
        return BufferedReader(_SpoolReader(self))


class _SpoolReader(io.RawIOBase):
    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._position
        elif whence == os.SEEK_END:
            offset += self._spool.size
        if offset < 0:
            raise ValueError(f"negative position {offset}")
        self._position = offset
        return offset

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        data = os.pread(self._spool.descriptor, len(buffer), self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def unpacked(raw: BufferedReader, name: str) -> tuple[str | None, Iterator[bytes]]:
    """Open what begins where ``raw`` is: the name of the member of a zip archive, and the data.

    LoadError for an archive that does not hold one file, or cannot be unpacked; the data raises
    EOFError where it ends too early, and one of DAMAGE or OSError where it is bad.

    ``read1``, not ``read``: it hands out what was decompressed before it meets the fault.
    """
    match container_of(raw.peek(_MAGIC)[:_MAGIC]):
        case "gzip":
            return None, _gzip_chunks(raw)
        case "zip":
            return _zip_member(raw, name)
        case None:
            return None, iter(partial(raw.read1, CHUNK), b"")


def _gzip_chunks(raw: BufferedReader) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=raw, mode="rb") as unzipped:
        yield from iter(partial(unzipped.read1, CHUNK), b"")


def _zip_member(raw: BufferedReader, name: str) -> tuple[str, Iterator[bytes]]:
    try:
        archive = zipfile.ZipFile(raw)
    except _NO_LIST as error:
        raise LoadError(
            f"{name}: compressed data ends too early, or is damaged: this zip archive has no whole "
            f"list of its files at its end ({error}). Nothing of it was loaded; fetch the file "
            "again"
        ) from error
    members = [member for member in archive.infolist() if not _is_beside(member)]
    if not members:
        raise LoadError(f"{name}: the zip archive is empty: there is no file in it to load")
    if len(members) > 1:
        names = ", ".join(member.filename for member in members[:5])
        raise LoadError(
            f"{name}: the archive holds {len(members)} files ({names}), and one is expected; "
            "unpack it and load them one by one"
        )
    return PurePosixPath(members[0].filename).name, _member_chunks(archive, members[0], name)


def _is_beside(member: zipfile.ZipInfo) -> bool:
    """Say whether an entry is none of the files: a folder, or what macOS and others put beside."""
    path = PurePosixPath(member.filename)
    return (
        member.is_dir()
        or "__MACOSX" in path.parts[:-1]
        or path.name.startswith("._")
        or path.name in {".DS_Store", "Thumbs.db", "desktop.ini"}
    )


def _member_chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    with archive:
        try:
            member = cast(zipfile.ZipExtFile, archive.open(info))
        except RuntimeError as error:  # encrypted, or a method that Python does not know
            raise LoadError(f"{name}: cannot be unpacked: {error}") from error
        with member:
            yield from iter(partial(member.read1, CHUNK), b"")
