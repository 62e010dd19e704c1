"""Telling apart the trades of one message."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

_MAX_MESSAGES = 256
"""Messages whose trades may be handed over in turns: one a connection and symbol at a time."""


@dataclass(slots=True)
class _Message:
    trades: int = 0
    alike: dict[Hashable, int] = field(default_factory=dict)


class Positions:
    """Counts the trades of each message as one callback gets them, in the message's order.

    A message is known by what all of its trades have in common: exchange, symbol, and the time of
    receipt.
    """

    def __init__(self) -> None:
        self._messages: OrderedDict[Hashable, _Message] = OrderedDict()

    def next(self, message: Hashable) -> int:
        """Return the position of the message's next trade, from 0."""
        known = self._messages.get(message)
        if known is None:
            known = self._messages[message] = _Message()
            if len(self._messages) > _MAX_MESSAGES:
                self._messages.popitem(last=False)
        position = known.trades
        known.trades += 1
        return position

    def next_alike(self, message: Hashable, what: Hashable) -> int:
        """Return how many trades before it in the message were the same in all that is told."""
        alike = self._messages[message].alike
        place = alike.get(what, 0)
        alike[what] = place + 1
        return place
