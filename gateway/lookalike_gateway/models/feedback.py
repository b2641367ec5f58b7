"""Feedback comes in, and what is made of it goes out, as these models say."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic.json_schema import SkipJsonSchema

from lookalike_gateway.models.answer import Answer, Count, Sha256
from lookalike_gateway.models.body import Body


def _number(value: object) -> object:
    """Take 1.0 for 1, as JSON does, but no texts and no booleans."""
    if isinstance(value, bool | str):
        raise ValueError("must be an integer")  # noqa: TRY004 - pydantic takes no TypeError
    return value


class Verdict(Body):
    """A verdict is what somebody thought of a result."""

    sha256: Sha256
    rank: Annotated[int, Field(strict=False, ge=1, le=1_000_000), BeforeValidator(_number)] = Field(
        description="The result's."
    )
    verdict: Literal["right", "wrong", "clicked"] = Field(description="`clicked`: somebody had a look at it.")


class Feedback(Body):
    """Feedback is what somebody thought of a search's results."""

    search_id: str = Field(
        pattern="^[A-Za-z0-9_-]{22}$", description="Of the search's answer.", examples=["AAAAB2kjTkDyw3pXJm9Qng"]
    )
    query_sha256: Sha256 | SkipJsonSchema[None] = Field(
        default=None, description="The hash of the photo that was searched with, if it is to be learnt from."
    )
    verdicts: list[Verdict] = Field(
        min_length=1,
        max_length=100,
        description="A later `right` or `wrong` on a result replaces the earlier one.",
    )


class FeedbackRecorded(Answer):
    """The answer says how much was recorded."""

    changed: Count = Field(description="How many of the verdicts were new.")


class SearchQuality(Answer):
    """The quality of searches is that of those made in a window."""

    start_time: datetime = Field(description="When the window begins: a midnight in UTC.")
    searches: Count = Field(validation_alias="search_count", description="How many were answered.")
    judged_searches: Count = Field(validation_alias="judged_search_count", description="How many got any feedback.")
    clicked_searches: Count = Field(
        validation_alias="clicked_search_count", description="How many had a result that was clicked."
    )
    click_through_rate: float | None = Field(
        description="Of the searches answered, the share with a click; null if none was."
    )
    mean_reciprocal_rank: float | None = Field(
        description="Over searches with feedback, of 1 / the rank of the first result that was right, or clicked and"
        " not wrong; null without feedback."
    )
    right: Count = Field(validation_alias="right_count", description="Results said to be right.")
    wrong: Count = Field(validation_alias="wrong_count", description="Results said to be wrong.")
    precision: float | None = Field(description="Of both together, the share that was right; null if there are none.")
