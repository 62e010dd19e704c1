"""Captured exchange traffic, and playing it back through the parsers of cryptofeed 2 or 3."""

import asyncio
import gzip
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.engines import REPOSITORY

CAPTURES = REPOSITORY / "tests" / "data" / "captures"

Line = dict[str, Any]
"""As cryptofeed 3 records it: ``t`` is header, http, connect, or recv."""


def cryptofeed_release() -> int:
    """Return the first number of cryptofeed's version."""
    return int(version("cryptofeed").split(".")[0])


def capture(exchange: str) -> list[Line]:
    """Read a capture that lies beside the tests."""
    with gzip.open(CAPTURES / f"{exchange}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def capture_of_cryptofeed_2(folder: Path, exchange: str, about: str) -> list[Line]:
    """Read the messages that hold some text of a capture in cryptofeed 2's form: files of text."""
    lines: list[Line] = [{"t": "header", "exchange": exchange}]
    for text in _text(folder / f"{exchange}.0.gz"):
        if text.startswith("configuration: "):
            lines[0]["config"] = json.loads(text.partition(": ")[2])
        elif " -> " in text:
            lines.append({"t": "http", "data": text.partition(" -> ")[2].partition(": ")[2]})
    for path in sorted(folder.glob(f"{exchange}.ws.*.gz")):
        for text in _text(path):
            if "<->" in text:
                address = text.split(" ")[0]
                lines.append({"t": "connect", "conn": path.name, "addr": address})
            elif re.match(r"\d", text) and about in text:
                time, _, data = text.partition(": ")
                lines.append({"t": "recv", "conn": path.name, "ts": float(time), "data": data})
    return lines


def _text(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def messages(lines: list[Line]) -> Iterator[Any]:
    """Yield what the exchange sent, past cryptofeed."""
    for line in lines:
        if line["t"] == "recv":
            yield json.loads(line["data"], parse_float=Decimal)


def play(lines: list[Line], callbacks: Mapping[str, Any]) -> None:
    """Hand a capture to cryptofeed, which hands what it reads to the callbacks."""
    from cryptofeed.exchanges import EXCHANGE_MAP
    from cryptofeed.symbols import Symbols

    kind = EXCHANGE_MAP[lines[0]["exchange"]]
    infos = [json.loads(line["data"], parse_float=Decimal) for line in lines if line["t"] == "http"]
    Symbols.set(kind.id, *kind._parse_symbol_data(infos if len(infos) > 1 else infos[0]))
    known = Symbols.get(kind.id)[0]
    subscription = {
        channel: [symbol for symbol in lines[0]["config"][channel] if symbol in known]
        for channel in callbacks
    }

    async def run() -> None:
        # Deribit wants keys for what it sends unasked in a capture
        config = {"deribit": {"key_id": "-", "key_secret": "-"}, "log": {"disabled": True}}
        feed = kind(subscription=subscription, callbacks=dict(callbacks), config=config)
        if cryptofeed_release() > 2:
            feed._apply_symbol_mapping()
            # what was cut out of the capture is missing
            feed._check_sequence_num = lambda *_: None
        connections = {
            line["conn"]: _connection(line, feed, subscription)
            for line in lines[1:]
            if line["t"] == "connect"
        }
        if kind.id == "DERIBIT":  # prepares what its messages are compared with
            for connection in connections.values():
                await feed.subscribe(connection)
        for line in lines:
            if line["t"] == "recv":
                await feed.message_handler(line["data"], connections[line["conn"]], line["ts"])

    asyncio.run(run())


def _connection(line: Line, feed: Any, subscription: Mapping[str, list[str]]) -> Any:
    async def write(*_: object) -> None:
        pass

    subscribed = {
        feed.std_channel_to_exchange(channel): [
            feed.std_symbol_to_exchange_symbol(symbol) for symbol in symbols
        ]
        for channel, symbols in subscription.items()
    }
    return SimpleNamespace(
        address=line["addr"], uuid=line["conn"], subscription=subscribed, write=write
    )
