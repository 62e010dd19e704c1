"""A chart as a page, in a real Chromium: what is drawn, what is read, and that it needs nothing."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from entasis_db.charts import Chart, Line, save
from tests.browser import Page, browser
from tests.unit.charts.support import EVIL, START, with_gap

pytestmark = pytest.mark.long

# colours of the scheme, and how many points of each column of the price pane have one of them
COLUMNS = """
(() => {
  const canvas = document.querySelector("figure .canvas canvas");
  const { width, height } = canvas;
  const points = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const near = (at, [r, g, b]) =>
    Math.abs(points[at] - r) + Math.abs(points[at + 1] - g) + Math.abs(points[at + 2] - b) < 30;
  const found = [];
  for (let x = 0; x < width; x++) {
    let [up, down, vwap] = [0, 0, 0];
    for (let y = 0; y < height; y++) {
      const at = 4 * (y * width + x);
      up += near(at, %s); down += near(at, %s); vwap += near(at, %s);
    }
    found.push([up, down, vwap]);
  }
  return found;
})()
"""
SCHEMES = {
    "light": ([0x12, 0x80, 0x5C], [0xC0, 0x39, 0x2B], [0x1F, 0x5F, 0xBF]),
    "dark": ([0x35, 0xB9, 0x8A], [0xEF, 0x6A, 0x5B], [0x76, 0xA9, 0xF5]),
}


@pytest.fixture(scope="module")
def page(needs_chromium: None) -> Iterator[Page]:
    with browser() as started:
        yield started


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_candles_and_their_gap_are_drawn(
    page: Page, tmp_path: Path, width: int, scheme: str
) -> None:
    save(with_gap(), tmp_path / "candles.html")
    page.look(width, scheme)
    page.open(tmp_path / "candles.html")
    columns = page.ask(COLUMNS % SCHEMES[scheme])
    across = len(columns)
    left, middle, right = (
        [sum(column[kind] for column in columns[round(a * across) : round(b * across)])
         for kind in range(3)]
        for a, b in ((0.0, 0.38), (0.43, 0.57), (0.62, 1.0))
    )  # fmt: skip
    assert left[0] > 100 > left[1] * 100
    assert right[1] > 100 > right[0] * 100
    assert middle == [0, 0, 0]  # not even VWAP's line goes over the gap
    assert left[2] > 10
    assert page.ask("document.documentElement.scrollWidth") <= width
    assert page.ask("document.querySelector('h1').textContent") == EVIL.replace("\u202e", "\u202e")
    assert page.ask("document.images.length") == 0
    assert page.complaints == []


def test_what_is_under_the_crosshair_has_all_digits(page: Page, tmp_path: Path) -> None:
    save(with_gap(), tmp_path / "candles.html")
    page.look(1280, "light")
    page.open(tmp_path / "candles.html")
    where = """(() => {
      const { chart } = document.querySelector("figure").entasis;
      const box = document.querySelector("figure .canvas").getBoundingClientRect();
      return [box.left + chart.timeScale().timeToCoordinate(%d), box.top + 100];
    })()"""
    reading = "document.querySelector('figure .reading').textContent"
    seconds = int(START.timestamp())
    page.move(*page.ask(where % (seconds + 60)))
    read = page.ask(reading)
    assert "open 101.123456789012345678" in read
    assert "close 102.5" in read
    assert "VWAP 101.123456789012345678" in read
    page.move(*page.ask(where % (seconds + 50 * 60)))
    assert page.ask(reading) == "2024-08-08 12:50:00 · no trade"
    shown = "(() => { const r = document.querySelector('figure').entasis.chart.timeScale()"
    shown += ".getVisibleLogicalRange(); return r.to - r.from; })()"
    before = page.ask(shown)
    page.wheel(600, 400, -300)
    assert page.ask(shown) < before * 0.95
    assert page.complaints == []


def test_numbers_stand_where_they_are(page: Page, tmp_path: Path) -> None:
    """Strikes that are not equally far apart; and moments with fractions of seconds."""
    numbers = [("0.5", "1"), ("0.75", None), ("1.5", "2"), ("4.5", "3")]
    smile = [(Decimal(at), None if n is None else Decimal(n)) for at, n in numbers]
    moments = [(START + timedelta(seconds=float(at)), n) for at, n in smile]
    places = """(() => {
      const { chart, drawn } = document.querySelector("figure").entasis;
      return drawn[0].series.data().filter((p) => p.value !== undefined)
        .map((p) => chart.timeScale().timeToCoordinate(p.time));
    })()"""
    for points in (smile, moments):
        save(Chart("smile", lines=[Line("iv", points)], across="strike"), tmp_path / "s.html")
        page.look(1280, "light")
        page.open(tmp_path / "s.html")
        first, second, third = page.ask(places)
        assert (third - second) / (second - first) == pytest.approx(3, abs=0.02)
        assert page.ask("document.querySelector('.legend').textContent") == "iv"
    assert page.complaints == []
