"""Charts of candles, of a smile, and of the rows of any query: as PNG, SVG, and HTML.

    from entasis_db import charts, queries

    candles = queries.candles("BTCUSDT", "binance-spot", "1m", start, end).fetch(connection)
    chart = charts.of_candles("binance-spot BTCUSDT 1m", candles, "1m")
    charts.save(chart, Path("candles.html"))

A file of HTML opens offline: zoom, crosshair, and what stands under it with all its digits. PNG and
SVG need ``pip install 'entasis-db[charts]'``. Numbers stay Decimal until they are drawn.
"""

from entasis_db.charts.candles import of_candles
from entasis_db.charts.files import FORMATS, save
from entasis_db.charts.model import Chart, ChartError, Line, Stick
from entasis_db.charts.rows import of_rows
from entasis_db.charts.smile import of_smile

__all__ = [
    "FORMATS",
    "Chart",
    "ChartError",
    "Line",
    "Stick",
    "of_candles",
    "of_rows",
    "of_smile",
    "save",
]
