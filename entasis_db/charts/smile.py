"""The chart of an expiry's implied volatilities."""

from collections.abc import Sequence

from entasis_db.charts.model import Chart, ChartError, Line
from entasis_db.queries import SmilePoint


def of_smile(title: str, points: Sequence[SmilePoint]) -> Chart:
    """Chart implied volatility by strike, calls and puts apart, with those of bids and asks.

    ``points`` are those of queries.iv_smile, of one expiry. Raises ChartError where there is none,
    or of several expiries.
    """
    if not points:
        raise ChartError("there is no implied volatility to draw; choose another moment or expiry")
    if len({point.expiry_date for point in points}) > 1:
        raise ChartError("these are several expiries: give the one to draw with its time")
    lines = []
    for kind in ("call", "put"):
        of_kind = [point for point in points if point.option_type == kind]
        if of_kind:
            lines.append(Line(f"{kind} iv", [(p.strike_price, p.iv) for p in of_kind]))
        for side in ("bid_iv", "ask_iv"):
            # 0: nobody bids
            told = [(p.strike_price, getattr(p, side)) for p in of_kind if getattr(p, side)]
            if told:
                lines.append(Line(f"{kind} {side.removesuffix('_iv')}", told, "points"))
    priced = [point for point in points if point.underlying_price is not None]
    notes = ["Implied volatility, a fraction per year, by strike."]
    if priced:
        newest = max(priced, key=lambda point: point.timestamp)
        notes.append(f"The underlying stood at {newest.underlying_price:f}.")
    return Chart(title, lines=lines, across="strike", notes=notes)
