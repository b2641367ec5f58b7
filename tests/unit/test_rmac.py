"""The regions of R-MAC."""

import pytest

from lookalike_embedder.rmac import Region, square_regions


def test_three_levels_have_fourteen_regions() -> None:
    """1 + 4 + 9, with sides 2·14/(l + 1), as in the paper."""
    regions = square_regions(14)
    assert [region.side for region in regions] == [14] + [9] * 4 + [7] * 9
    assert regions[0] == Region(0, 0, 14)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 14, 28])
def test_regions_lie_within_the_map_and_cover_it(size: int) -> None:
    covered = set()
    for top, left, side in square_regions(size):
        assert top >= 0
        assert left >= 0
        assert top + side <= size
        assert left + side <= size
        covered |= {(row, column) for row in range(top, top + side) for column in range(left, left + side)}
    assert len(covered) == size * size


def test_regions_of_a_level_are_symmetric_within_a_cell() -> None:
    """A mirrored picture sees nearly the same regions."""
    edges = sorted({region.left for region in square_regions(14) if region.side == 7})
    assert edges == [0, 3, 7]
