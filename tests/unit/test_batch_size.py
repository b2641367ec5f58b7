"""The knee: the smallest batch that is nearly as fast as any."""

import pytest

from lookalike_embedder import batch_size


@pytest.mark.parametrize(
    ("paces", "expected"),
    [
        ({1: 7.0, 2: 6.7, 4: 99.0}, 1),  # a CPU: doubling brings nothing, and is not tried further
        ({1: 100.0, 2: 190.0, 4: 350.0, 8: 600.0, 16: 800.0, 32: 830.0, 64: 832.0}, 16),  # a GPU
        ({1: 100.0, 2: 104.0, 4: 104.5, 8: 104.6}, 1),
        ({1: 1.0, 2: 2.0}, 2),
    ],
)
def test_it_is_the_smallest_size_within_five_percent_of_the_best(paces: dict[int, float], expected: int) -> None:
    best, measured = batch_size.find(paces.__getitem__, largest=max(paces))
    assert best == expected
    assert measured.items() <= paces.items()


def test_what_does_not_fit_in_memory_is_not_chosen() -> None:
    def pace(size: int) -> float:
        if size > 4:
            raise MemoryError
        return float(size)

    assert batch_size.find(pace)[0] == 4


def test_where_not_even_one_image_fits_that_is_said() -> None:
    def pace(_: int) -> float:
        raise MemoryError

    with pytest.raises(MemoryError):
        batch_size.find(pace)


def test_pace_is_images_by_second_after_a_run_that_does_not_count() -> None:
    runs = []
    assert batch_size.measure(lambda: runs.append(1), images=8) > 8
    assert len(runs) > 2
