"""A filter as SQL: its text grows with its conditions, not with what they list."""

from lookalike_searcher.images.filter import Filter


def test_the_largest_filter_is_one_short_statement() -> None:
    """1,024 alternatives, each a term of its own, took twice as long to plan and to compare."""
    group = tuple((f"name{number}", "value") for number in range(64))
    text, arguments = Filter(
        products=("p",) * 1000, variants=("v",) * 1000, staged=True, uri_prefix="h", labels=(group,) * 16
    ).conditions("reference", 10)
    assert len(arguments) == 20
    assert len(text) < 2000
    assert text.count("$10") == 1
