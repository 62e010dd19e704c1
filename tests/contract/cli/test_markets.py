"""The commands that list markets and record what is traded."""

import json
from pathlib import Path

import pytest

from tests.contract.cli.support import fails, leaves, succeeds
from tests.engines import Database
from tests.unit.test_instrument_lists import DERIBIT

pytestmark = [pytest.mark.copy, pytest.mark.newest_server, pytest.mark.native_speed_when_short]


def test_markets_are_imported_set_and_listed(market: Database, tmp_path: Path) -> None:
    path = tmp_path / "instruments.json"
    path.write_text(json.dumps({"result": [DERIBIT]}))
    said = succeeds(market, "markets", "import", str(path))
    assert said == "instruments.json: 1 instruments of deribit, 1 of them new or changed\n"
    said = succeeds(
        market, "markets", "set", "BTC", "x", "kind=spot", "tick_size=0.5", "usual_gap=5 minutes"
    )
    assert said == "x BTC: kind, tick_size, usual_gap set\n"
    shown = succeeds(market, "markets", "--table")
    assert shown == succeeds(market, "markets", "list", "--table")
    btc = next(line for line in shown.splitlines() if " BTC " in line)
    assert "2024-08-08 12:00" in btc
    assert "2024-08-08 13:59" in btc
    assert " 360 " in btc
    assert "BTC-PERPETUAL" in shown
    (listed,) = json.loads(succeeds(market, "markets", "list", "--json", "--exchange", "x"))
    assert listed["tick_size"] == "0.5"
    assert listed["usual_gap"] == 300
    assert listed["first_trade"] == "2024-08-08T12:00:00+00:00"
    assert listed["trades"] == 360
    assert listed["set_by_hand"] == ["kind", "tick_size", "usual_gap"]
    assert json.loads(succeeds(market, "markets", "--json", "--exchange", "x")) == [listed]
    succeeds(market, "markets", "set", "BTC", "x", "kind=", "tick_size=", "usual_gap=")
    (listed,) = json.loads(succeeds(market, "markets", "list", "--json", "--exchange", "x"))
    assert (listed["kind"], listed["tick_size"], listed["set_by_hand"]) == (None, None, [])


def test_a_new_market_is_said_to_be_new(market: Database) -> None:
    said = succeeds(market, "markets", "set", "NEW", "y", "contract_size=100")
    assert said == "y NEW: contract_size set (a new market)\n"


def test_what_cannot_be_set_or_read_is_one_line(market: Database, tmp_path: Path) -> None:
    assert "no KEY=VALUE" in fails(market, "markets", "set", "BTC", "x", "kind", code=2)
    assert "one of spot" in fails(market, "markets", "set", "BTC", "x", "kind=swap")
    assert "no 'id_space'" in fails(market, "markets", "set", "BTC", "x", "id_space=trade")
    path = tmp_path / "instruments.json"
    path.write_text("[1]")
    assert "no list of instruments" in fails(market, "markets", "import", str(path))
    path.write_text(json.dumps({"result": [DERIBIT, {**DERIBIT, "kind": None, "tick_size": "x"}]}))
    assert "entry 2: " in leaves(market, "markets", "import", str(path))
