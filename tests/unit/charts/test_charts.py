"""Charts of candles and of rows: what is drawn of them, what is refused, and images."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from entasis_db.charts import ChartError, of_candles, of_rows, of_smile, save
from entasis_db.charts.figure import document, specification
from entasis_db.cli.pictures.asking import ask, known
from entasis_db.pages.element import data, element, outside, written
from entasis_db.queries import SmilePoint
from tests.unit.charts.support import EVIL, START, candle, with_gap


class Score(NamedTuple):
    kind: str
    at: datetime
    id: int
    much: Decimal | None
    span: timedelta


def test_buckets_without_a_trade_are_told() -> None:
    chart = with_gap()
    assert [at.minute for at in chart.blanks] == list(range(40, 60))
    assert chart.notes == ["20 buckets without a trade, left empty."]
    assert specification(chart)["blanks"] == [[int(START.timestamp()) + 40 * 60, 60, 20]]
    months = [candle(0, "1")._replace(bucket=datetime(2024, n, 1, tzinfo=UTC)) for n in (1, 2, 5)]
    assert [at.month for at in of_candles("m", months, "1mo").blanks] == [3, 4]
    years = [months[0], months[1]._replace(bucket=datetime(2025, 2, 1, tzinfo=UTC))]
    assert len(of_candles("m", years, "1mo").blanks) == 12
    with pytest.raises(ChartError, match="more than 200,000 buckets of 1m"):
        of_candles("m", years, "1m")
    with pytest.raises(ChartError, match="no candle"):
        of_candles("m", [], "1m")


def test_numbers_keep_their_digits() -> None:
    drawn = specification(with_gap())
    assert drawn["candles"][0][1] == "100.123456789012345678"
    assert drawn["candles"][0][6] == "100.123456789012345678"
    assert drawn["places"] == 2


def test_what_comes_from_outside_is_text() -> None:
    page = document(with_gap(), "Made.")
    assert page.count("<script") == 3
    assert "<img" not in page
    assert page.count("<!--") == 0
    said = element("p", "a & b", outside("<b>\x00\x9f\ud800"), title='"<>')
    assert "<bdi>&lt;b&gt;\ufffd\ufffd\ufffd</bdi>" in written(said)
    assert 'title="&quot;' in written(said)
    assert written(data({"a": EVIL})).count("<") == 3


def test_rows_are_lines_by_what_they_differ_in() -> None:
    day = timedelta(days=1)
    rows = [
        Score(kind, START + n * day, n, None if n == 2 else Decimal(n), day)
        for n in range(4)
        for kind in ("price", "return")
    ]
    chart = of_rows("scores", rows)
    assert [line.name for line in chart.lines] == ["price much", "return much"]
    assert [value for _, value in chart.lines[0].points] == [0, 1, None, 3]
    numbers = of_rows("scores", rows, across="id", columns=["much"], apart=["kind"])
    assert numbers.across == "id"
    assert numbers.lines[0].points[1] == (Decimal(1), Decimal(1))
    for wrong in ({"columns": ["nothing"]}, {"columns": ["kind"]}, {"across": "kind"}):
        with pytest.raises(ChartError):
            of_rows("scores", rows, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ChartError, match="no row"):
        of_rows("scores", [])
    with pytest.raises(ChartError, match="more than 14"):
        of_rows("scores", [row._replace(kind=str(n)) for n in range(2) for row in rows * 8][:0] or
                [rows[0]._replace(kind=str(n)) for n in range(15)])  # fmt: skip


def test_rows_with_prices_are_candles() -> None:
    chart = of_rows("bars", [candle(n, "5") for n in (0, 1, 9)])
    assert len(chart.sticks) == 3
    assert specification(chart)["axis"]["kind"] == "order"


def test_a_smile_is_of_one_expiry() -> None:
    point = SmilePoint(
        START, Decimal(100), "call", Decimal("0.5"), Decimal(0), Decimal("0.6"), Decimal(90),
        None, None, START, 1,
    )  # fmt: skip
    chart = of_smile("smile", [point, point._replace(strike_price=Decimal(110))])
    assert [(line.name, len(line.points)) for line in chart.lines] == [
        ("call iv", 2),
        ("call ask", 2),
    ]
    assert "The underlying stood at 90." in chart.notes
    with pytest.raises(ChartError, match="several expiries"):
        of_smile("smile", [point, point._replace(expiry_date=START + timedelta(1))])


def test_images_show_every_candle(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for form, begins in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        first, second = tmp_path / f"a.{form}", tmp_path / f"b.{form}"
        save(with_gap(), first)
        save(with_gap(), second)
        assert first.read_bytes().startswith(begins)
        assert first.read_bytes() == second.read_bytes()
    drawn = ElementTree.parse(tmp_path / "a.svg")
    styles = [each.get("style", "") for each in drawn.iter() if each.tag.endswith("path")]
    # a body and a bar of volume each
    assert sum("fill: #12805c" in style for style in styles) == 80
    assert sum("fill: #c0392b" in style for style in styles) == 80
    texts = [each.text or "" for each in drawn.iter() if each.tag.endswith("text")]
    assert EVIL in texts
    lines = [each.get("d", "") for each in drawn.iter() if each.tag.endswith("path")]
    vwap = next(path for path, style in zip(lines, styles, strict=True)
                if "stroke: #1f5fbf" in style and path.count("L") > 10)  # fmt: skip
    assert len(re.findall("M", vwap)) == 2
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_library_is_the_one_that_was_chosen() -> None:
    """Of lightweight-charts 5.2.1: dist/lightweight-charts.standalone.production.js, unchanged."""
    text = (files("entasis_db.pages") / "assets" / "lightweight-charts.js").read_bytes()
    assert sha256(text).hexdigest() == (
        "e21cc5caa0226ef30bd8549c50b9ef926615f2a4ee6b4e486353477a55f598cf"
    )


def test_a_file_is_written_or_not(tmp_path: Path) -> None:
    with pytest.raises(ChartError, match="html, png, svg"):
        save(with_gap(), tmp_path / "chart.gif")
    with pytest.raises(ChartError, match="choose another file"):
        save(with_gap(), tmp_path / "nowhere" / "chart.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(ChartError, match="choose another file"):
        save(with_gap(), tmp_path / "folder.html")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.html"]


def test_arguments_are_read_by_what_a_query_takes() -> None:
    common = ("symbol=BTC", "exchange=x", "from_time=2024-08-08", "to_time=2024-08-09T01:00+01:00")
    asked = ask("trade_markouts", [*common, "horizons=1s,5m", "max_age=1.5h"]).params
    assert asked["horizons"] == [timedelta(seconds=1), timedelta(minutes=5)]
    assert asked["max_age"] == timedelta(minutes=90)
    assert asked["to_time"] == datetime(2024, 8, 9, tzinfo=UTC)
    assert ask("volume_profile", [*common, "step=0.10"]).params["step"] == Decimal("0.10")
    assert ask("candles", [*common, "interval=1m", "fill_gaps=yes"]).name == "candles_filled"
    assert ask("session_candles", [*common, "opens=09:30", "closes=16:00", "weekdays=1,2"])
    assert ask("iv_smile", ["underlying=ETH", "expiry_date=2024-08-30", "at=2024-08-08"])
    for wrong, why in (
        (["symbol"], "is no argument of volume_profile: symbol=… exchange=…"),
        (["step=x"], "that is no number"),
        (["step=NaN"], "that is no number"),
        (["from_time=x"], "cannot be read"),
        ([], "volume_profile lacks symbol"),
    ):
        with pytest.raises(ChartError, match=re.escape(why)):
            ask("volume_profile", wrong)
    with pytest.raises(ChartError, match="one of 1m, 5m"):
        ask("candles", ["interval=2m"])
    with pytest.raises(ChartError, match="yes or no"):
        ask("candles", ["fill_gaps=maybe"])
    assert len(known()) > 35
