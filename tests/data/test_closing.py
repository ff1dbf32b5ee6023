import pytest

from data.closing import ClosedOnExit


class Door(ClosedOnExit):
    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_it_is_closed_once_at_the_end_of_the_block():
    with Door() as door:
        assert door.closed == 0
    assert door.closed == 1


def test_an_error_in_the_block_closes_it_and_goes_on():
    door = Door()
    with pytest.raises(KeyError), door:
        raise KeyError
    assert door.closed == 1
