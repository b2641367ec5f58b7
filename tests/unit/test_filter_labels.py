"""Labels as users write them, on the command line and in a URL."""

import pytest
import typer

from lookalike.cli.filter import filter_of
from lookalike.labels import values_by_name


def test_the_values_of_a_name_are_collected_in_order() -> None:
    assert values_by_name(["colour=red", "brand=x", "colour=blue", "formula=a=b", "empty="]) == {
        "colour": ["red", "blue"],
        "brand": ["x"],
        "formula": ["a=b"],
        "empty": [""],
    }


def test_no_labels_are_no_names() -> None:
    assert values_by_name([]) == {}


def test_a_label_without_a_value_is_refused_by_its_text() -> None:
    with pytest.raises(ValueError, match=r"^must be NAME=VALUE, got 'red'$"):
        values_by_name(["colour=red", "red"])


def test_the_command_line_says_which_option_it_was() -> None:
    with pytest.raises(typer.BadParameter, match=r"^must be NAME=VALUE, got 'red'$") as refusal:
        filter_of(None, None, None, "", ["red"])
    assert refusal.value.param_hint == "--label"
