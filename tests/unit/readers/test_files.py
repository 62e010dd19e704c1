"""Files that are empty, cut, damaged or packed otherwise, and pipes."""

import gzip
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entasis_db.errors import LoadError
from entasis_db.readers import (
    Rejected,
    TradeRow,
    files,
    read_options,
    read_trades,
)
from tests.unit.readers.support import ENTASIS, Write, feed_standard_input, packed, zipped

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
    with pytest.raises(LoadError, match="cannot be opened: Is a directory"):
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


@pytest.mark.parametrize("pack", [gzip.compress, zipped], ids=["gzip", "zip"])
@pytest.mark.parametrize("kept", [0.05, 0.3, 0.7, 0.999, -9, -1])
def test_compressed_data_that_was_cut(
    write: Write, pack: Callable[[bytes], bytes], kept: float
) -> None:
    whole = pack((ENTASIS + LONG).encode())
    cut = whole[: int(kept) if kept < 0 else int(len(whole) * kept)]
    ids, message = read_until_fault(write(cut))
    assert ids == list(range(len(ids)))
    # All that can be decompressed is read: about as much of the rows as was kept of the file.
    assert len(ids) >= (9000 if kept < 0 else 9000 * kept * 0.8 - 400)
    assert message == (
        f"trades.csv: compressed data ends too early after line {len(ids) + 1}; rows up to there "
        "were read; fetch the file again and load it again: nothing is loaded twice"
    )


def test_every_whole_line_before_the_cut_is_read(write: Write) -> None:
    # Stored, not deflated, so that it is known what the cut leaves.
    text = (ENTASIS + LONG).encode()
    cut = gzip.compress(text, compresslevel=0)[:100_000]
    ids, _ = read_until_fault(write(cut))
    assert len(ids) + 1 == text[: 100_000 - 10 - 5 * 2].count(b"\n")


@pytest.mark.parametrize("kept", [4, 20, 31, 60])
def test_zip_archives_cut_within_the_first_line(write: Write, kept: int) -> None:
    with pytest.raises(LoadError, match="ends too early after line 0"):
        read_trades(write(zipped(ENTASIS.encode())[:kept]))


@pytest.mark.parametrize("pack", [gzip.compress, zipped], ids=["gzip", "zip"])
def test_compressed_data_that_is_damaged(write: Write, pack: Callable[[bytes], bytes]) -> None:
    whole = bytearray(pack((ENTASIS + LONG).encode()))
    # A block type that does not exist, at the very beginning of the deflated data.
    start = 10 if pack is gzip.compress else whole.index(b"member0.csv") + len("member0.csv")
    broken = bytes(whole[:start]) + b"\xff" * 8 + bytes(whole[start + 8 :])
    with pytest.raises(LoadError, match=r"trades.csv: compressed data is damaged after line 0 \("):
        read_trades(write(broken))


def test_a_checksum_that_does_not_match(write: Write) -> None:
    whole = bytearray(gzip.compress((ENTASIS + LONG).encode()))
    whole[-8] ^= 1
    ids, message = read_until_fault(write(bytes(whole)))
    assert len(ids) == 9000
    assert "damaged after line 9001" in message
    assert "some may be wrong" in message


def test_a_zip_archive_of_several_files(write: Write) -> None:
    with pytest.raises(LoadError, match=r"holds 2 files \(member0.csv, member1.csv\)"):
        read_trades(write(zipped(ENTASIS.encode(), ENTASIS.encode())))
    with pytest.raises(LoadError, match="holds 0 files"):
        read_trades(write(b"PK\3\4" + zipped()))


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
    monkeypatch.setattr(files, "CHUNK", 64)
    text = (ENTASIS + LONG).encode()
    for data in (text, gzip.compress(text)):
        feed_standard_input(monkeypatch, data)
        reader = read_trades("-")
        assert len(list(reader)) == 9000
        assert reader.source == "standard input"
        assert reader.total_bytes is None
        assert reader.bytes_read == len(text)
        with pytest.raises(LoadError, match="standard input: a pipe can be read only once"):
            list(reader)


def test_a_zip_archive_needs_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    feed_standard_input(monkeypatch, zipped(ENTASIS.encode()))
    with pytest.raises(LoadError, match="a zip archive cannot be read from a pipe"):
        read_trades("-")


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
