"""What arrives on the channel of caches, which any session that knows its name can send to."""

import json
import re
from collections.abc import Mapping
from typing import Any

_GREETING = re.compile("[0-9a-f]{32}")
_LAST = 253_402_300_800  # s since 1970 at which times end that Python can hold


def understood(payload: str) -> Mapping[str, Any]:
    """Return a message: a greeting (``hello``), or what entasis_internal.notify_caches tells.

    Raises ValueError, or RecursionError, for anything else.
    """
    message: Any = json.loads(payload)
    if isinstance(message, dict):
        if "hello" in message:
            if isinstance(message["hello"], str) and _GREETING.fullmatch(message["hello"]):
                return message
        elif {"everything", "trades", "options"} & message.keys() and (
            message.get("everything", True) is True
            and _is_list(message.get("trades", []), _is_span)
            and _is_list(message.get("options", []), _is_name)
        ):
            return message
    raise ValueError("it is none that a cache knows")


def _is_list(value: Any, of: Any) -> bool:
    return isinstance(value, list) and all(map(of, value))


def _is_span(value: Any) -> bool:
    if not (isinstance(value, list) and len(value) == 4):
        return False
    symbol, exchange, first, last = value
    return (
        _is_name(symbol)
        and _is_name(exchange)
        and type(first) is type(last) is int
        and 0 <= first <= last < _LAST
    )


def _is_name(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    value.encode()  # UnicodeEncodeError for half a character, which JSON can say
    return True
