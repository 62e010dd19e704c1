"""What a feed sent that is no row."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that cannot be read exactly; a writer puts it into entasis.quarantine."""

    relation: Literal["market_data", "option_data"]
    """Where its rows would have gone."""
    code: str
    """What is wrong, in one word."""
    reason: str
    """What is wrong, for a person."""
    payload: object
    """The message. What JSON cannot hold is stored as text, and of a long one the beginning."""
