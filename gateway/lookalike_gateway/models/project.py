"""Projects go out, and are changed, as these models say."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo

from lookalike_gateway.models.answer import Answer, Count, PageToken, rounded
from lookalike_gateway.models.body import Body


def _last_change(update_time: datetime, info: ValidationInfo) -> datetime | None:
    return update_time if update_time > info.data["create_time"] else None


class Limits(Answer):
    """A project has these limits; 0 stands for the searcher's own limit."""

    max_images: Count = Field(description="The most images.")
    max_hits: Count = Field(description="The most results of a page.")
    searches_per_second: float = Field(ge=0, description="At each searcher.")
    max_batch: Count = Field(description="The most searches of a batch, over gRPC.")


class Index(Answer):
    """The approximate index belongs to a space."""

    state: Literal["none", "pending", "building", "ready", "other"] = Field(
        description="`none`: not needed; `pending`, `building`: until it is `ready`, searches are exact."
    )
    progress: Annotated[float, Field(ge=0, le=1), rounded(4)] = Field(
        description="While it is built, of the present phase."
    )
    phase: str = Field(description="While it is built, in PostgreSQL's words.")
    recall: float | None = Field(description="Share of the true nearest found recently; null before the first sample.")


class MeasuredGain(Answer):
    """A space was measured to gain this on products that were held out, by mean average precision."""

    products: Count = Field(description="How many products were held out, each once.")
    queries: Count = Field(description="How many of their images were searched for.")
    before: float = Field(description="In the space that served.")
    after: float = Field(description="In the new one.")
    low: float = Field(description="The difference is at least this, with 99 % confidence.")
    high: float = Field(description="The difference is at most this, with 99 % confidence.")


class Learning(Answer):
    """A derived space was learned from this."""

    method: str = Field(
        description="`mean`: half of the mean is taken out; `products`: which images show the same product."
    )
    images: Count = Field(description="From so many images.")
    products: Count = Field(description="From so many products of two or more images.")
    judgements: Count = Field(description="From so many pairs of images that users judged.")
    gain: MeasuredGain | None = Field(description="Null where it could not be measured.")
    labels: Count = Field(description="From so many values of a label, of images without such a product.")
    copies: Count = Field(description="From so many pairs of a picture and its proven copy.")
    tells_variants_apart: bool = Field(description="Whether variants of a product are told apart.")


class Space(Answer):
    """An embedding space holds a vector for each of a project's images."""

    name: str = Field(description="Its name.")
    dimensions: Count = Field(description="How many numbers each of its vectors has.")
    serves: bool = Field(description="Whether searches are made in it.")
    vectors: Count = Field(validation_alias="vector_count", description="How many images have a vector in it.")
    index: Index
    learning: Learning | None = Field(description="What it was learned from; null if it is not derived.")
    neighbours: Count = Field(description="Towards how many others each of its vectors is drawn.")


class Tuning(Answer):
    """The searcher tunes a project by itself, and has come so far."""

    stage: Literal["idle", "proposed", "building", "watching", "other"] = Field(
        description="`proposed`: waits to be accepted; `building`: is filled, and will serve; `watching`: serves."
    )
    space: str = Field(description="What is proposed, built or watched; empty if nothing is.")
    learning: Learning | None = Field(description="What that was learned from.")
    step: str = Field(description="The last step; empty before the first.")
    detail: str = Field(description="Why, for people.")
    step_time: datetime | None = Field(description="When; null before the first.")


class Project(Answer):
    """A project is a set of images that are searched together."""

    name: str = Field(description="Its name.")
    search_enabled: bool = Field(description="Whether it can be searched.")
    images_indexed: Count = Field(validation_alias="image_count", description="How many different images it holds.")
    references: Count = Field(validation_alias="reference_count", description="In how many places they are used.")
    create_time: datetime = Field(description="When it was created.")
    last_indexed_at: Annotated[datetime | None, BeforeValidator(_last_change)] = Field(
        validation_alias="update_time",
        description="When images or references last changed; null if they never did.",
    )
    space: str = Field(description="The embedding space that serves.")
    limits: Limits
    spaces: list[Space] = Field(description="The serving one first; empty in a list of projects.")
    tuning_policy: Literal["off", "propose", "auto"] = Field(description="How far the searcher may tune it by itself.")
    tuning: Tuning | None = Field(description="How far that has come; null in a list of projects.")


class ProjectPage(Answer):
    """A page of projects is in order of their names."""

    projects: list[Project]
    next_page_token: PageToken


class ProjectChange(Body):
    """A change switches a project's searches on or off."""

    search_enabled: bool = Field(description="Whether the project can be searched.")
