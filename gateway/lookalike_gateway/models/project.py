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


class Space(Answer):
    """An embedding space holds a vector for each of a project's images."""

    name: str = Field(description="Its name.")
    dimensions: Count = Field(description="How many numbers each of its vectors has.")
    serves: bool = Field(description="Whether searches are made in it.")
    vectors: Count = Field(validation_alias="vector_count", description="How many images have a vector in it.")
    index: Index


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


class ProjectPage(Answer):
    """A page of projects is in order of their names."""

    projects: list[Project]
    next_page_token: PageToken


class ProjectChange(Body):
    """A change switches a project's searches on or off."""

    search_enabled: bool = Field(description="Whether the project can be searched.")
