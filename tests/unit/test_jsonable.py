"""Anything becomes JSON that PostgreSQL can hold."""

import json
from decimal import Decimal

import pytest

from entasis_db.live.jsonable import jsonable, storable


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"a": [1, None, True, "x"]}, {"a": [1, None, True, "x"]}),
        (Decimal("0.10"), "0.10"),
        (float("nan"), "nan"),
        (2**63 - 1, 2**63 - 1),
        (2**63, "0x8000000000000000"),
        ({1: "a\0b"}, {"1": "a\\0b"}),
        ("\ud800", "\\ud800"),
        ((1, 2), [1, 2]),
    ],
)
def test_values(value: object, written: object) -> None:
    assert jsonable(value) == written


def test_what_is_huge_is_not_written_out() -> None:
    # Python refuses to write so many decimal digits
    huge = jsonable(10**5000)
    assert isinstance(huge, str)
    assert huge.startswith("0x")
    long = jsonable(["\0"] * 10_000)
    assert isinstance(long, dict)
    assert long["characters"] > 10_000 == len(long["beginning"])
    deep: object = "end"
    for _ in range(10_000):
        deep = [deep]
    assert len(json.dumps(jsonable(deep))) < 100


def test_text() -> None:
    assert storable("a\0\ud800é") == "a\\0\\ud800é"
