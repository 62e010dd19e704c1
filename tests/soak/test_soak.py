"""The faults that the soak has to find can still be planted."""

import pytest

from tests.soak.plants import PLANTS


@pytest.mark.parametrize("name", PLANTS)
def test_the_text_that_a_planted_fault_changes_is_there(name: str) -> None:
    plant = PLANTS[name]
    assert plant.text()
    assert plant.more is None or plant.more.text()
