"""What is wrong with a row before a table sees it: mistakes of the caller, unstorable values."""

from datetime import UTC, datetime
from decimal import Decimal

from entasis_db.ingest.limits import ABSURD_EXPONENT, INT64, is_text
from entasis_db.model import OPTION_KEY, OptionQuote, Trade

_MUST_BE: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("symbol", "exchange", "underlying", "option_type"), (str,)),
    **dict.fromkeys(("timestamp", "expiry_date"), (datetime,)),
    "id": (int,),
    **dict.fromkeys(("price", "volume", "strike_price"), (Decimal,)),
    **dict.fromkeys(("side", "source_id", "excluded"), (str, type(None))),
    # after the key, a quote has nothing but numbers that may be missing
    **dict.fromkeys(OptionQuote._fields[len(OPTION_KEY) :], (Decimal, type(None))),
}


def check_row(row: Trade | OptionQuote) -> None:
    """Refuse what is a mistake in the caller's program, and not in the data.

    Raises TypeError for a value of another type (a float for a price), ValueError for a time
    without a zone.
    """
    for name, value in row._asdict().items():
        if name == "id" and value is None and isinstance(row, OptionQuote):
            continue
        if not isinstance(value, _MUST_BE[name]) or isinstance(value, bool):
            wanted = " or ".join(kind.__name__ for kind in _MUST_BE[name])
            raise TypeError(f"{name} must be {wanted}, and {value!r} is {type(value).__name__}")
        if isinstance(value, datetime) and value.utcoffset() is None:
            raise ValueError(f"{name} {value} has no time zone; times are told in UTC")


def unstageable(row: Trade | OptionQuote) -> tuple[str, str] | None:
    """Return code and reason if PostgreSQL's types cannot even hold it long enough to be judged."""
    for name, value in row._asdict().items():
        if isinstance(value, str):
            if "\0" in value:
                return name, f"the {name} holds a NUL character, which PostgreSQL cannot store"
            if not is_text(value):
                return name, f"the {name} holds half a character, which PostgreSQL cannot store"
        elif isinstance(value, int):
            if not -INT64 <= value < INT64:
                return name, f"the {name} {storable(value)} is not a 64-bit integer"
        elif isinstance(value, datetime):
            try:
                value.astimezone(UTC)
            except OverflowError:
                return name, f"the {name} {value} is beyond the years 1 to 9999"
        elif (
            isinstance(value, Decimal)
            and value.is_finite()
            and (
                abs(value.adjusted()) > ABSURD_EXPONENT
                or abs(int(value.as_tuple().exponent)) > ABSURD_EXPONENT
            )
        ):
            return name, f"the {name} {value} is beyond any price"
    return None


def storable(value: object) -> str:
    """Write anything as text that PostgreSQL can hold."""
    if isinstance(value, int) and not -INT64 <= value < INT64:
        return hex(value) if value.bit_length() > ABSURD_EXPONENT else str(value)
    text = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return text.replace("\0", "\\0")
