"""How long a call may be expected to wait, by its caller's deadline and by what it has waited already."""

import math

import pytest

from lookalike_serving.patience import acceptable_wait, overdue_after, retry_after


@pytest.mark.parametrize(
    ("remaining", "waited", "acceptable", "overdue"),
    [
        (10, 0, 3, 5),
        (8, 2, 1, 3),  # 10 s in all, as before
        (6, 4, -1, 1),  # it should not have come
        (4, 6, -3, -1),  # and now it lets newer ones go first
        (math.inf, 0, 6, 10),  # 20 s are assumed
        (math.inf, 4, 2, 6),
        (60, 0, 6, 10),  # and no more than that
    ],
)
def test_what_a_call_may_wait_is_a_share_of_all_its_time_less_what_it_has_waited(
    remaining: float, waited: float, acceptable: float, overdue: float
) -> None:
    assert acceptable_wait(remaining, waited=waited) == pytest.approx(acceptable)
    assert overdue_after(remaining, waited=waited) == pytest.approx(overdue)


def test_nobody_is_told_to_come_back_at_once() -> None:
    assert 0.1 <= retry_after(0) <= 0.2
