"""Read the labels of a filter as users write them: `NAME=VALUE`."""

from collections import defaultdict
from collections.abc import Iterable


def values_by_name(labels: Iterable[str]) -> dict[str, list[str]]:
    """Return the values of each name, in the order in which they are given. A value may hold a `=` itself.

    Raises:
        ValueError: a label has no `=`. The message names it.
    """
    values: defaultdict[str, list[str]] = defaultdict(list)
    for label in labels:
        name, equals, value = label.partition("=")
        if not equals:
            raise ValueError(f"must be NAME=VALUE, got {label!r}")
        values[name].append(value)
    return dict(values)
