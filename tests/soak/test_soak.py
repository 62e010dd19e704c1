"""A drawn history holds; the faults that the soak has to find can be planted, and one is found."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.engines import Source
from tests.soak.__main__ import Soak
from tests.soak.plants import PLANTS

on_a_cluster = [
    pytest.mark.newest_server,
    pytest.mark.own_cluster,
    pytest.mark.native_speed,
]


@pytest.fixture(scope="module")
def soak(source: Source) -> Iterator[Soak]:
    with ExitStack() as stack:
        yield Soak(source, stack)


class TestHistories:
    pytestmark = on_a_cluster

    @pytest.mark.long
    def test_a_history_holds(self, soak: Soak) -> None:
        # written to, archived, dropped, reopened, killed: whatever is drawn for it
        assert soak.play(soak.draw(seed=7, length=16)) is None

    def test_a_planted_fault_is_found(self, soak: Soak) -> None:
        if soak.source.engine != "postgresql":
            pytest.skip("faults are planted in files of engine postgresql")
        found = soak.play(soak.draw(seed=7, length=16), PLANTS["least-closed-at"])
        assert found is not None
        assert "candles of ohlcv" in str(found[1])


@pytest.mark.parametrize("name", PLANTS)
def test_the_text_that_a_planted_fault_changes_is_there(name: str) -> None:
    plant = PLANTS[name]
    assert plant.text()
    assert plant.more is None or plant.more.text()
