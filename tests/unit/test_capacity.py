"""The arithmetic of the capacity page is right, and starts from what was measured."""

import re
from math import ceil, log

import pytest

from lookalike.evaluation.change import bytes_per_image
from lookalike_searcher.config import Config
from tests.deployment import ROOT

PAGE = (ROOT / "docs" / "capacity.md").read_text()
POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def count(text: str) -> int:
    """Of `10⁵`, `2·10⁷` or `4,085`."""
    factor, power = re.fullmatch(r"(?:(\d+)·)?10([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", text).groups()  # type: ignore[union-attr]
    return int(factor or 1) * int("1" + "0" * int(power.translate(POWERS)))


def number(text: str) -> int:
    return int(text.replace(",", "").removesuffix(" min"))


def rows(columns: int) -> list[list[str]]:
    """The rows of the table with so many columns that begin with a number of images."""
    found = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| 10")]
    return [row for row in found if len(row) == columns]


def given(name: str) -> float:
    """What is put in, by its name."""
    return float(re.search(rf"^\| `{name}` \|[^*\n]*\*\*([\d,.]+)", PAGE, re.MULTILINE)[1].replace(",", ""))  # type: ignore[index]


PACE, SEARCHES, STORED, MEMORY, DISK, BUILD = (given(name) for name in "PSImdb")
STATEMENTS = given("t") / 1000


@pytest.mark.parametrize("row", rows(11), ids=lambda row: str(row[0]))
def test_a_row_follows_from_the_formulas(row: list[str]) -> None:
    images, searches, largest = count(row[0]), number(row[1]), count(row[2])
    new, depth = images * 0.01 / 86_400, log(largest) / log(1e5)
    memory = ceil(images * MEMORY * 1.25 / 1e9)
    machines = ceil(memory / 256)
    assert [number(cell) for cell in row[3:]] == [
        max(4, ceil(max(searches / 0.6, searches + new) / PACE)),
        max(2, ceil(searches / 0.6 / SEARCHES)),
        machines,
        max(4 * machines, ceil(searches * STATEMENTS * depth / 0.6 + new / STORED)),
        memory,
        ceil(images * DISK * 2 / 1e9),
        round(BUILD * largest / 1e5 * depth / 60),
        round(images / PACE / 3600),
    ]


def test_an_evaluation_reckons_with_the_same_bytes() -> None:
    others = re.findall(r"^\| ([\d,]+)(?: \(VGG16\))? \| \d+ \| [\d½]+ \| ([\d,]+) \|", PAGE, re.MULTILINE)
    assert len(others) == 7
    for dimensions, memory in others:
        assert round(bytes_per_image(number(dimensions))) == number(memory)


@pytest.mark.parametrize(("row", "sizes"), [*zip(rows(6), rows(11), strict=True)], ids=lambda row: str(row[0]))
def test_a_cost_is_the_sum_of_its_parts(row: list[str], sizes: list[str]) -> None:
    embedders, searchers, _, postgres, memory, disk = (number(cell) for cell in sizes[3:9])
    of_pods = ceil(embedders + searchers / 2)
    assert row[1:4] == [
        f"{embedders + searchers + postgres} · 20",
        f"({memory:,} + {of_pods}) · 2.5",
        f"{disk:,} · 0.1",
    ]
    cost = (embedders + searchers + postgres) * 20 + (memory + of_pods) * 2.5 + disk * 0.1
    assert number(row[4]) == round(cost)
    assert number(row[5]) == round(cost / count(row[0]) * 1e6)


def test_what_is_put_in_is_what_was_measured() -> None:
    searcher, readme = ((ROOT / path).read_text() for path in ("docs/searcher.md", "README.md"))
    table = {
        name: number(size)
        for name, size in re.findall(r"^\| \**([^|*]+?)\** \| \**([\d,]+)\** \|$", searcher, re.MULTILINE)
    }
    assert (
        next(size for name, size in table.items() if name.startswith("vectors"))
        + next(size for name, size in table.items() if name.startswith("their HNSW"))
        == MEMORY
    )
    assert table["in all"] == DISK
    assert f"({2 * PACE:g} over" in readme
    figures = (ROOT / "docs/figures.md").read_text()
    assert f"until the index is calibrated | {BUILD:g} s" in figures
    assert f"{(Config.pool_size + 4) * 2} for two" in PAGE


def test_sizes_of_other_models_follow_from_what_fits_in_a_page() -> None:
    table = re.findall(
        r"^\| ([\d,]+)(?: \(VGG16\))? \| (\d+) \| ([\d½]+) \| ([\d,]+) \| ([\d,]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE
    )
    assert [row[0] for row in table][:2] == ["384", "512"]
    for dimensions, *found in table:
        size = 2 * number(dimensions)
        vectors, entries = 8160 // (size + 48), 8160 // (size + 476) or 0.5
        memory = 8192 / vectors + 8192 / entries
        shown = (str(vectors), "½" if entries == 0.5 else str(entries), f"{memory:,.0f}", f"{memory + 620:,.0f}")
        assert tuple(found) == (*shown, f"{memory * 1.25 / 1000:.1f}")
    assert number(table[1][3]) == pytest.approx(MEMORY, rel=0.01)  # as it was measured
    assert DISK - MEMORY == 620
