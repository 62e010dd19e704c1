"""Writing predictions: what is repeated, what is in conflict, what is replaced, what is rounded."""

import asyncio
import copy
import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import queries
from entasis_db.ingest import Conflict, WriteReport, write_predictions, write_predictions_async
from entasis_db.model import Prediction
from tests.conftest import Login
from tests.db import Connection, one
from tests.engines import Database

pytestmark = pytest.mark.native_speed

MADE = datetime(2024, 3, 1, 12, tzinfo=UTC)
TARGET = MADE + timedelta(hours=1)
WHOLE = Context(prec=400)


def prediction(predicted_value: Any = Decimal("61000.5"), **changes: Any) -> Prediction:
    made = Prediction(
        model_id="m",
        symbol="BTC",
        prediction_type="price",
        predicted_value=predicted_value,
        confidence=Decimal("0.5"),
        timestamp=MADE,
        target_time=TARGET,
    )
    return made._replace(**changes)


@pytest.fixture
def connection(shared_connection: Connection) -> Connection:
    """The file's database, without predictions."""
    shared_connection.execute("DELETE FROM entasis.predictions")
    return shared_connection


def stored(connection: Connection) -> list[Prediction]:
    return queries.predictions("m", "BTC", MADE, MADE + timedelta(days=1)).fetch(connection)


# --- the class -----------------------------------------------------------------------------------


def test_rows_are_equal_when_they_say_the_same() -> None:
    there = timezone(timedelta(hours=5))
    row, other = prediction(), prediction(Decimal("61000.500"), timestamp=MADE.astimezone(there))
    assert row == other == row._replace(id=7)
    assert len({row, other, row._replace(id=7)}) == 1
    assert row != prediction(target_time=None)
    assert (row != row._replace(id=7)) is False
    # what is equal has one hash, and a tuple's counts the id
    assert row != tuple(row)
    assert tuple(row) != row
    with pytest.raises(AttributeError):
        row.confidence = Decimal(1)  # type: ignore[misc]


def test_copies_are_the_same_row_with_its_id() -> None:
    row = prediction(id=7)
    for copied in (copy.copy(row), copy.deepcopy(row), pickle.loads(pickle.dumps(row))):
        assert copied == row
        assert copied.id == 7
        assert type(copied) is Prediction
    assert row._replace(confidence=0.25).confidence == Decimal("0.25")
    with pytest.raises(ValueError, match="confidence is nan"):
        row._replace(confidence=math.nan)


def test_a_float_is_its_shortest_decimal() -> None:
    assert prediction(60123.12345678901).predicted_value == Decimal("60123.12345678901")
    assert prediction(3.4567891234567e-06).predicted_value == Decimal("0.0000034567891234567")
    assert prediction(3).predicted_value == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"predicted_value": math.nan}, "predicted_value is nan, which is no number"),
        ({"confidence": Decimal("Infinity")}, "confidence is Infinity, which is no number"),
        ({"confidence": "0.5"}, "confidence is '0.5': give a Decimal, a float or an int"),
        ({"predicted_value": Fraction(1, 3)}, "give a Decimal, a float or an int"),
        ({"timestamp": MADE.replace(tzinfo=None)}, "timestamp is .*, without a time zone"),
        ({"target_time": MADE.replace(tzinfo=None)}, "target_time is .*, without a time zone"),
    ],
)
def test_what_cannot_be_stored_is_no_prediction(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prediction(**changes)


# --- writing -------------------------------------------------------------------------------------


def test_what_is_written_is_read_back(connection: Connection) -> None:
    rows = [
        prediction(),
        prediction(target_time=None),
        prediction(0.25, prediction_type="return", timestamp=MADE + timedelta(microseconds=1)),
    ]
    assert write_predictions(connection, rows) == WriteReport(inserted=3)
    found = stored(connection)
    assert sorted(found, key=rows.index) == rows
    assert all(row.id is not None for row in found)
    # what was read can be written again, and changes nothing
    assert write_predictions(connection, found) == WriteReport(already_there=3)
    assert write_predictions(connection, []) == WriteReport()


@pytest.mark.parametrize("target", [TARGET, None])
def test_another_value_is_a_conflict_until_it_replaces(
    connection: Connection, target: datetime | None
) -> None:
    first, new = prediction(target_time=target), prediction(2, target_time=target)
    unsure = first._replace(confidence=Decimal("0.25"))
    write_predictions(connection, [first])
    (kept,) = stored(connection)
    report = write_predictions(connection, [new, first, unsure])
    assert report == WriteReport(
        already_there=1, conflicts=(Conflict(new, first), Conflict(unsure, first))
    )
    assert {conflict.stored.id for conflict in report.conflicts} == {kept.id}
    assert stored(connection) == [first]
    assert write_predictions(connection, [new], replace=True) == WriteReport(replaced=1)
    assert [(row, row.id) for row in stored(connection)] == [(new, kept.id)]
    assert write_predictions(connection, [new], replace=True) == WriteReport(already_there=1)
    assert write_predictions(connection, [unsure], replace=True) == WriteReport(replaced=1)
    assert stored(connection) == [unsure]


@pytest.mark.parametrize("column", ["predicted_value", "confidence"])
def test_rows_of_one_key_count_in_their_order(connection: Connection, column: str) -> None:
    one_, two = prediction(**{column: 1}), prediction(**{column: Decimal("0.25")})
    assert write_predictions(connection, [one_, one_, two]) == WriteReport(
        inserted=1, already_there=1, conflicts=(Conflict(two, one_),)
    )
    assert stored(connection) == [one_]
    # each is compared with the one before it
    assert write_predictions(connection, [one_, two, two, two], replace=True) == WriteReport(
        already_there=3, replaced=1
    )
    assert stored(connection) == [two]
    connection.execute("DELETE FROM entasis.predictions")
    assert write_predictions(connection, [one_, two], replace=True) == WriteReport(
        inserted=1, replaced=1
    )
    assert stored(connection) == [two]


def test_numbers_are_rounded_and_counted(connection: Connection) -> None:
    third = Decimal(1) / Decimal(3)
    rows = [
        prediction(third),
        prediction(third, confidence=2 / 3, target_time=None),
        prediction(3.4567891234567e-06, prediction_type="return", confidence=Decimal("0.50") ** 60),
    ]
    report = write_predictions(connection, rows)
    assert report == WriteReport(inserted=3, rounded=4)
    values = {(row.target_time, row.prediction_type): row for row in stored(connection)}
    assert values[TARGET, "price"].predicted_value == Decimal("0." + "3" * 18)
    assert values[None, "price"].confidence == Decimal("0.6666666666666666")
    assert values[TARGET, "return"].predicted_value == Decimal("0.000003456789123457")
    # the same numbers again are the same, rounded as they were before
    assert write_predictions(connection, rows) == WriteReport(already_there=3, rounded=4)
    assert write_predictions(connection, rows, replace=True).already_there == 3


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"predicted_value": Decimal("1e20")}, psycopg.errors.CheckViolation),
        ({"confidence": Decimal("1.1")}, psycopg.errors.CheckViolation),
        ({"target_time": MADE - timedelta(seconds=1)}, psycopg.errors.CheckViolation),
        ({"model_id": "m "}, psycopg.errors.CheckViolation),
        # PostgreSQL itself would cut the space off
        ({"model_id": "m" * 128 + " "}, psycopg.errors.StringDataRightTruncation),
        ({"symbol": "m" * 64 + " "}, psycopg.errors.StringDataRightTruncation),
        ({"prediction_type": "m" * 64 + " "}, psycopg.errors.StringDataRightTruncation),
    ],
)
def test_what_does_not_fit_leaves_nothing_of_the_call(
    connection: Connection, changes: dict[str, Any], error: type[psycopg.Error]
) -> None:
    with pytest.raises(error):
        write_predictions(connection, [prediction(target_time=None), prediction(**changes)])
    assert stored(connection) == []


def test_it_joins_the_callers_transaction(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        write_predictions(connection, [prediction()])
        with pytest.raises(psycopg.errors.CheckViolation):
            write_predictions(connection, [prediction(model_id="")])
        assert stored(connection) == [prediction()]
    assert stored(connection) == []


def test_an_asynchronous_connection_does_the_same(connection: Connection, shared: Database) -> None:
    first, new = prediction(1), prediction(2)

    async def run() -> list[WriteReport[Prediction]]:
        async with await psycopg.AsyncConnection.connect(shared.dsn, autocommit=True) as other:
            return [
                await write_predictions_async(other, []),
                await write_predictions_async(other, [first]),
                await write_predictions_async(other, [new]),
                await write_predictions_async(other, [new], replace=True),
            ]

    assert asyncio.run(run()) == [
        WriteReport(),
        WriteReport(inserted=1),
        WriteReport(conflicts=(Conflict(new, first),)),
        WriteReport(replaced=1),
    ]
    assert WriteReport(1, 2, 3, (Conflict(new, first),), 4) + WriteReport(
        1, 1, 1, (Conflict(first, new),), 1
    ) == WriteReport(2, 3, 4, (Conflict(new, first), Conflict(first, new)), 5)


def test_a_writer_may_and_a_reader_may_not(database: Database, login: Login) -> None:
    assert write_predictions(login("entasis_writer"), [prediction()], replace=True).inserted == 1
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        write_predictions(login("entasis_reader"), [prediction()])


@pytest.mark.several_connections
@pytest.mark.parametrize("replacing", [False, True])
def test_a_writer_waits_for_another_and_sees_what_it_stored(
    connection: Connection, shared: Database, replacing: bool
) -> None:
    first, new = prediction(1), prediction(2)
    with shared.connect() as other, ThreadPoolExecutor(1) as pool:
        with connection.transaction():
            write_predictions(connection, [first])
            writing = pool.submit(write_predictions, other, [new], replace=replacing)
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = %s"
            while not one(connection, waiting, other.info.backend_pid) and not writing.done():
                pass
        assert writing.result() == (
            WriteReport(replaced=1) if replacing else WriteReport(conflicts=(Conflict(new, first),))
        )


# --- plain SQL -----------------------------------------------------------------------------------

WRITE = (
    "SELECT outcome, rounded, held_value, held_confidence FROM"
    " entasis.write_prediction('m', 'BTC', 'price', %s::float8, %s::float8, %s, %s, %s)"
)


def test_the_named_cases(connection: Connection) -> None:
    """An INSERT refuses the one, and keeps 15 digits of the other in silence."""
    insert = (
        "INSERT INTO entasis.predictions (model_id, symbol, prediction_type, predicted_value,"
        " confidence, timestamp) VALUES ('m', 'BTC', 'price', %s::float8, %s::float8, now())"
        " RETURNING predicted_value"
    )
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(insert, [0.01, 3.4567891234567e-06])
    assert one(connection, insert, 60123.12345678901, 0.9) == Decimal("60123.123456789")
    written = connection.execute(
        WRITE, [60123.12345678901, 3.4567891234567e-06, MADE, None, False]
    ).fetchone()
    assert written == (
        "inserted",
        1,
        Decimal("60123.12345678901"),
        Decimal("0.000003456789123457"),
    )


def test_plain_sql_has_the_same_outcomes(connection: Connection) -> None:
    for value, replacing, outcome in (
        (0.1, False, "inserted"),
        (0.1, False, "already_there"),
        (0.2, False, "conflict"),
        (0.2, True, "replaced"),
    ):
        found = connection.execute(WRITE, [value, 0.5, MADE, TARGET, replacing]).fetchone()
        assert found is not None
        assert found[0] == outcome
        # what was stored when it came
        assert found[2] == Decimal("0.1")
    for number in ("NaN", "infinity", "-infinity", None):
        for place, column in enumerate(("predicted_value", "confidence")):
            numbers: list[Any] = [0.5, 0.5]
            numbers[place] = number
            with pytest.raises(
                psycopg.errors.CheckViolation, match=f"row 1: {column} is .*, which is no number"
            ) as caught:
                connection.execute(WRITE, [*numbers, MADE, TARGET, True])
            assert caught.value.diag.column_name == column
    with pytest.raises(psycopg.errors.ArraySubscriptError):
        connection.execute(
            "SELECT entasis.write_predictions('{m}', '{B}', '{p}', '{1}', '{1}', '{now}', '{}')"
        )


@pytest.mark.native_speed
@given(
    numbers=st.lists(
        st.floats(-1e19, 1e19, allow_subnormal=False) | st.floats(-1, 1), min_size=20, max_size=50
    ),
    digits=st.sampled_from((-15, 0, 3)),
)
def test_a_double_keeps_its_shortest_text(
    shared_connection: Connection, numbers: list[float], digits: int
) -> None:
    """Whatever the session's extra_float_digits says."""
    with shared_connection.transaction(force_rollback=True):
        shared_connection.execute(f"SET LOCAL extra_float_digits = {digits}")
        rows = shared_connection.execute(
            "SELECT n.number, w.rounded, w.held_value"
            " FROM unnest(%s::float8[]) WITH ORDINALITY AS n (number, line)"
            " CROSS JOIN LATERAL entasis.write_prediction('m', 'S' || n.line, 'x', n.number, 1,"
            " now()) AS w ORDER BY n.line",
            [numbers],
            binary=True,
        ).fetchall()
    assert [number for number, _, _ in rows] == numbers
    for number, rounded, held in rows:
        exact = Decimal(repr(number))
        if abs(number) >= 2**53:
            # PostgreSQL takes no decimal that lies halfway to another double, Python does
            assert (float(held), rounded) == (number, 0)
            continue
        assert held == exact.quantize(Decimal("1e-18"), ROUND_HALF_EVEN, WHOLE)
        assert rounded == (held != exact)


@pytest.mark.native_speed
@given(
    numbers=st.lists(
        st.builds(
            lambda number, decimals: Decimal(number).scaleb(-decimals),
            # halves are where the ways to round differ
            st.integers(-(10**6), 10**6) | st.integers(-999, 999).map(lambda n: 10 * n + 5),
            st.integers(0, 6),
        )
        | st.sampled_from([Decimal("2.50000000000000000000000000000000001"), Decimal("0.5")]),
        min_size=50,
        max_size=100,
    ),
    decimals=st.sampled_from((0, 2, 3)),
)
def test_halves_go_to_the_even_digit(
    shared_connection: Connection, numbers: list[Decimal], decimals: int
) -> None:
    rows = shared_connection.execute(
        "SELECT n, entasis_internal.round_half_even(n, %s) FROM unnest(%s::numeric[]) AS n",
        [decimals, numbers],
    ).fetchall()
    for number, rounded in rows:
        assert rounded == number.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN, WHOLE)
