"""Files that are empty, cut, damaged or packed otherwise, and pipes."""

import bz2
import gzip
import io
import lzma
import os
import re
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable
from datetime import UTC, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from entasis_db.errors import LoadError
from entasis_db.ingest import parts
from entasis_db.readers import (
    REJECTIONS,
    Rejected,
    TradeRow,
    containers,
    files,
    read_options,
    read_trades,
)
from entasis_db.readers.candles import read_candles
from tests.unit.readers.support import (
    ENTASIS,
    EPOCH,
    PACKINGS,
    Pipe,
    Write,
    feed_standard_input,
    packed,
    zipped,
)

# --- files that are not what they should be ------------------------------------------------------


@packed
@pytest.mark.parametrize("content", ["", "\n\n", "# nothing\n"])
def test_an_empty_file(write: Write, pack: Callable[[bytes], bytes], content: str) -> None:
    path = write(pack(content.encode()))
    with pytest.raises(LoadError, match=r"^trades.csv, line 1: the file is empty; expected .*"):
        read_trades(path)
    with pytest.raises(LoadError, match=r"deribit-tickers \(recv,"):
        read_options(path)


def test_a_layout_that_is_not_known(write: Write) -> None:
    path = write("\n# hello\ntime,open,high\n1,2,3\n")
    with pytest.raises(LoadError) as error:
        read_trades(path)
    message = str(error.value)
    assert message.startswith("trades.csv, line 3: the layout is not recognised")
    assert "'time,open,high'" in message
    for layout in ("entasis", "binance-trades", "binance-aggtrades", "binance-stream"):
        assert layout in message
    with pytest.raises(LoadError, match="line 1: the layout is not recognised"):
        read_options(write(ENTASIS))
    with pytest.raises(LoadError, match=r"expected one of these layouts: binance-stream \("):
        read_trades(write(ENTASIS), layout="binance-stream")
    with pytest.raises(LoadError, match="no layout 'csv'; known are entasis, binance-trades"):
        read_trades(path, layout="csv")


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"absent.csv: cannot be opened: No such file"):
        read_trades(tmp_path / "absent.csv")
    with pytest.raises(LoadError, match="cannot be opened: File name too long"):
        read_trades("a" * 300)
    with pytest.raises(LoadError, match=r"^'a\\x00': cannot be opened: embedded null byte"):
        read_trades("a\0")
    with pytest.raises(LoadError, match="cannot be opened: Is a directory; give the files in it"):
        read_trades(tmp_path)


def test_a_file_without_line_ends(write: Write) -> None:
    path = write(ENTASIS + "x" * 3 * files.LONGEST_LINE)
    with pytest.raises(LoadError, match="line 2: longer than 1048576 bytes"):
        list(read_trades(path))


LONG = "".join(
    f"x,A,{n * 7919 % 99991},0,{n},{n * 31}.{n % 97},{n * 7 % 1009}\n" for n in range(9000)
)


def read_until_fault(path: Path) -> tuple[list[int], str]:
    rows: list[TradeRow | Rejected] = []
    with pytest.raises(LoadError) as error:
        rows.extend(read_trades(path))
    ids = [row.trade.id for row in rows if isinstance(row, TradeRow)]
    assert len(ids) == len(rows), "no part of a line may be read"
    return ids, str(error.value)


def refused(path: Path | str) -> str:
    """Answer the one line with which a file is refused before any row of it is given."""
    with pytest.raises(LoadError) as error:
        read_trades(path)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("kept", [0.05, 0.3, 0.7, 0.999, -9, -1])
def test_a_gzip_that_was_cut(write: Write, kept: float) -> None:
    whole = gzip.compress((ENTASIS + LONG).encode())
    cut = whole[: int(kept) if kept < 0 else int(len(whole) * kept)]
    assert re.fullmatch(
        r"trades.csv: compressed data ends too early after line \d+; nothing of it was loaded; "
        "fetch the file again and load it again: nothing is loaded twice",
        refused(write(cut)),
    )


@pytest.mark.parametrize("kept", [4, 20, 31, 60, 0.3, 0.999, -9, -1])
def test_a_zip_archive_that_was_cut(write: Write, kept: float) -> None:
    whole = zipped((ENTASIS + LONG).encode())
    cut = whole[: int(len(whole) * kept) if 0 < kept < 1 else int(kept)]
    message = refused(write(cut))
    assert message.startswith("trades.csv: compressed data ends too early, or is damaged: this zip")
    assert "Nothing of it was loaded" in message


METHODS = {
    "stored": zipfile.ZIP_STORED,
    "deflated": zipfile.ZIP_DEFLATED,
    "bzip2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}


def packed_by(method: str, text: str) -> bytes:
    if method == "gzip":
        return gzip.compress(text.encode())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", METHODS[method]) as archive:
        archive.writestr("a.csv", text)
    return buffer.getvalue()


every_method = pytest.mark.parametrize("method", ["gzip", *METHODS])


@every_method
def test_a_byte_that_was_flipped_anywhere(write: Write, method: str) -> None:
    whole = packed_by(method, ENTASIS + LONG)
    # behind the headers, and before what a zip archive says of its files at its end
    for place in range(100, len(whole) - 100, len(whole) // 23):
        broken = bytearray(whole)
        broken[place] ^= 16
        message = refused(write(bytes(broken)))
        assert "compressed data is damaged after" in message or "ends too early" in message
        assert "nothing of it was loaded" in message


@every_method
def test_whole_members_are_read(write: Write, method: str) -> None:
    reader = read_trades(write(packed_by(method, ENTASIS + LONG)))
    assert len(list(reader)) == 9000
    assert reader.bytes_read == reader.total_bytes


def test_a_checksum_that_does_not_match(write: Write) -> None:
    whole = bytearray(gzip.compress((ENTASIS + LONG).encode()))
    whole[-8] ^= 1
    assert "damaged after line 9001" in refused(write(bytes(whole)))


def test_a_file_that_changes_after_it_was_verified(write: Write) -> None:
    path = write(gzip.compress((ENTASIS + LONG).encode()))
    reader = read_trades(path)
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(LoadError, match=r"ends too early after line \d+; rows up to there were"):
        list(reader)


CUT_LINE = ENTASIS + "x,A,1000,0,1,1,1\nx,A,2000,0,2,1,1."


def test_a_last_line_without_its_end(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(source: Path | str) -> Rejected:
        row, cut = read_trades(source)
        assert isinstance(row, TradeRow)
        assert row.trade.id == 1
        assert isinstance(cut, Rejected)
        return cut

    cut = read(write(CUT_LINE))
    assert (cut.line, cut.code, cut.payload) == (3, "unterminated", "x,A,2000,0,2,1,1.")
    assert cut.code in REJECTIONS
    assert read(write(CUT_LINE + "5\r")).code == "unterminated"
    feed_standard_input(monkeypatch, CUT_LINE.encode())
    assert read("-") == cut
    # a checksum vouches for it
    for pack in (gzip.compress, zipped):
        rows = list(read_trades(write(pack((CUT_LINE + "5").encode()))))
        volumes = [str(row.trade.volume) for row in rows if isinstance(row, TradeRow)]
        assert volumes == ["1", "1.5"]
    feed_standard_input(monkeypatch, gzip.compress(CUT_LINE.encode()))
    assert all(isinstance(row, TradeRow) for row in read_trades("-"))
    # nothing is lost with these
    for rest in ("", "   ", "# the end"):
        assert len(list(read_trades(write(CUT_LINE + "\n" + rest)))) == 2
    assert list(read_trades(write(ENTASIS.rstrip()))) == []


def test_a_cut_line_tells_nothing_of_the_others(write: Write) -> None:
    text = ENTASIS + "x,A,1000,0,,1,1\nx,A,2000,1,,1,1\nx,A,3000,7,,1,-5"
    rows = list(read_trades(write(text)))
    assert [row[0] for row in rows] == [2, 3, 4]
    first = rows[0]
    assert isinstance(first, TradeRow)
    assert first.id_space == "ordinal"
    assert first.trade.side is None
    assert isinstance(rows[2], Rejected)
    (edge, last) = read_trades(write(text)).edges((EPOCH, EPOCH + timedelta(days=1)))
    assert (edge.last_line, last.last_line) == (2, 3)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (lzma.compress(ENTASIS.encode()), "is compressed by xz, which is not read here: unpack"),
        (bz2.compress(ENTASIS.encode()), "is compressed by bzip2"),
        (lzma.compress(ENTASIS.encode(), lzma.FORMAT_ALONE), "is compressed by lzma"),
        (b"\x28\xb5\x2f\xfd0", "is compressed by zstd"),
        (b"7z\xbc\xaf\x27\x1c0", "is a 7z archive"),
        (gzip.compress(gzip.compress(b"a")), "is an archive in an archive"),
        (zipped(zipped(b"a")), "is an archive in an archive"),
        (zipped(b"PAR1"), "is Parquet or Arrow"),
        (ENTASIS.encode("utf-16"), "is text in UTF-16"),
        (zipped(), "the zip archive is empty"),
        (b"PK\5\6", "this zip archive has no whole list of its files"),
    ],
    # not by the data: packed files have the time in them, and each worker makes its own
    ids=lambda value: value if isinstance(value, str) else "data",
)
def test_what_is_no_text(write: Write, data: bytes, what: str) -> None:
    message = refused(write(data))
    assert message.startswith("trades.csv")
    assert what in message


def test_a_tar_archive(write: Write) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"))
    assert "is a tar archive: unpack it" in refused(write(buffer.getvalue()))


def test_what_macos_puts_beside_a_file(write: Write) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.mkdir("folder")
        archive.writestr("folder/BTCUSDT-trades-2024-08-08.csv", ENTASIS + "x,A,1000,0,1,1,1\n")
        archive.writestr("__MACOSX/folder/._BTCUSDT-trades-2024-08-08.csv", b"\0\5\x16\7")
        archive.writestr("__MACOSX/icon", b"\0")
        archive.writestr("folder/.DS_Store", b"\0")
    assert len(list(read_trades(write(buffer.getvalue())))) == 1


BINANCE = "1,60000,1,60000,1723161257679,true\n"


@pytest.mark.parametrize("copy", [" (1)", "(2)", " copy", " copy 3", " - Copy", " - Copy (2)"])
def test_copies_of_an_archive_are_of_the_same_market(write: Write, copy: str) -> None:
    path = write(BINANCE, f"BTCUSDT-trades-2024-08-08{copy}.csv")
    (row,) = read_trades(path, exchange="binance-usdm")
    assert isinstance(row, TradeRow)
    assert row.trade.symbol == "BTCUSDT"


def member_of(name: str, text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, text)
    return buffer.getvalue()


def test_a_member_of_another_market(write: Write) -> None:
    data = member_of("ETHUSDT-trades-2024-08-08.csv", BINANCE)
    path = write(data, "BTCUSDT-trades-2024-08-08 (1).zip")
    with pytest.raises(LoadError, match=r"is of BTCUSDT, and the file in it, .*, is of ETHUSDT"):
        read_trades(path, exchange="binance-usdm")


KLINE = "1741000500000,10.5,11,9,10,3.5,1741000559999,36.125,4,1,10,0\n"


def test_a_member_of_other_candles(write: Write) -> None:
    data = member_of("ETHUSDT-1m-2025-03-03.csv", KLINE)
    for name, said in (
        ("BTCUSDT-1m-2025-03-03.zip", r"is of BTCUSDT, and the file in it, .*, is of ETHUSDT"),
        ("ETHUSDT-1h-2025-03-03.zip", r"is of 1h, and the file in it, .*, is of 1m; pass --int"),
    ):
        with pytest.raises(LoadError, match=said):
            read_candles(write(data, name), exchange="x")
    for name in ("ETHUSDT-1m-2025-03-03 (1).zip", "download.zip"):
        reader = read_candles(write(data, name), exchange="x")
        assert reader.market == ("ETHUSDT", "x", "1m")


def test_a_zip_archive_of_several_files(write: Write) -> None:
    with pytest.raises(LoadError, match=r"holds 2 files \(member0.csv, member1.csv\)"):
        read_trades(write(zipped(ENTASIS.encode(), ENTASIS.encode())))


def test_a_zip_archive_with_a_password(write: Write) -> None:
    whole = bytearray(zipped(ENTASIS.encode()))
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        whole[whole.index(signature) + offset] |= 1
    with pytest.raises(LoadError, match=r"cannot be unpacked: .*encrypted"):
        read_trades(write(bytes(whole)))


def test_a_file_that_cannot_be_read_to_its_end(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        yield ENTASIS.encode() + b"x,A,1,0,1,1,1\nx,A,1"
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files, "_chunks", fail)
    ids, message = read_until_fault(write(ENTASIS))
    assert ids == [1]
    assert message == "trades.csv: cannot be read after line 2: Input/output error"


# --- pipes ---------------------------------------------------------------------------------------


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "CHUNK", 64)
    text = (ENTASIS + LONG).encode()
    for data in (text, gzip.compress(text)):
        feed_standard_input(monkeypatch, data)
        reader = read_trades("-")
        assert len(list(reader)) == 9000
        assert reader.source == "standard input"
        # what is compressed is kept in a file, so that its checksum is verified first
        assert reader.total_bytes == (None if data is text else len(data))
        assert reader.bytes_read == len(data)
        assert reader.rereadable is (data is not text)
        if data is text:
            with pytest.raises(LoadError, match="standard input: a pipe can be read only once"):
                list(reader)
        else:
            assert len(list(reader)) == 9000


def test_a_compressed_pipe_is_verified_first(monkeypatch: pytest.MonkeyPatch) -> None:
    feed_standard_input(monkeypatch, zipped((ENTASIS + LONG).encode()))
    assert len(list(read_trades("-"))) == 9000
    broken = bytearray(gzip.compress((ENTASIS + LONG).encode()))
    broken[len(broken) // 2] ^= 16
    feed_standard_input(monkeypatch, bytes(broken))
    assert "nothing of it was loaded" in refused("-")


@pytest.mark.parametrize("pack", PACKINGS)
def test_a_pipe_that_begins_with_few_bytes(
    monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    class Slow(Pipe):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(1 if self.tell() < 9 else size)

        def readinto(self, buffer: Any) -> int:
            data = self.read(len(buffer))
            buffer[: len(data)] = data
            return len(data)

    stdin = SimpleNamespace(buffer=io.BufferedReader(Slow(pack((ENTASIS + LONG).encode()))))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert len(list(read_trades("-"))) == 9000


def test_a_compressed_pipe_is_read_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    # times go back, sizes have signs, and the sequence is the exchange's: all is found out first
    text = ENTASIS + "x,A,9000,0,,1,1\nx,A,1000,5,,1,1\nx,A,2000,6,,1,-1\n"
    feed_standard_input(monkeypatch, gzip.compress(text.encode()))
    rows = [row for row in read_trades("-") if isinstance(row, TradeRow)]
    assert [(row.id_space, row.trade.id, row.trade.side) for row in rows] == [
        ("sequence", 0, "buy"),
        ("sequence", 5, "buy"),
        ("sequence", 6, "sell"),
    ]


def test_a_compressed_pipe_that_finds_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(containers.shutil, "copyfileobj", fail)
    feed_standard_input(monkeypatch, gzip.compress(ENTASIS.encode()))
    assert "No space left on device. Nothing of it was loaded; let TMPDIR name" in refused("-")


def test_standard_input_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert refused("-") == "standard input is closed: give a file's name"


def test_standard_input_that_is_a_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(ENTASIS + LONG)
    with path.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=file))
        reader = read_trades("-")
        assert reader.total_bytes == path.stat().st_size
        assert len(list(reader)) == 9000
        assert reader.bytes_read == reader.total_bytes


def test_what_nobody_may_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(ENTASIS)

    def fail(*_: object, **__: object) -> Any:
        raise PermissionError(13, "Permission denied")

    for method in ("stat", "open"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, method, fail)
            for do in (read_trades, load):
                with pytest.raises(LoadError, match=r"cannot be opened: Permission denied$"):
                    do(path)


def load(path: Path) -> None:
    parts.open_options(path, layout=None, zone=UTC, batch_rows=1, decimals=None)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no named pipes")
def test_a_named_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_text(ENTASIS + LONG))
    writer.start()
    reader = read_trades(path)
    assert reader.total_bytes is None
    assert len(list(reader)) == 9000
    writer.join()
    packed = gzip.compress((ENTASIS + LONG).encode())
    for data in (packed, packed[:-9]):
        writer = threading.Thread(target=path.write_bytes, args=[data])
        writer.start()
        if data is packed:
            assert len(list(read_trades(path))) == 9000
        else:
            assert "pipe: compressed data ends too early" in refused(path)
        writer.join()
