"""Parameters are said once: requests are read by these models, and the OpenAPI document is made of them."""

import re
from collections import Counter
from typing import Annotated, Final, Literal

from fastapi import Depends, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from lookalike.constants import MAX_TEXT_CHARACTERS
from lookalike.labels import values_by_name
from lookalike.records import Filter
from lookalike_gateway.models.answer import SHA256
from lookalike_gateway.problems import invalid
from lookalike_gateway.thumbnail import Size

MAX_HITS: Final = 1000
MAX_SEARCH_TOKEN: Final = 32_768
"""A search's page token holds a vector of up to 4,000 numbers, which takes 22 kB."""


def _integer(text: object) -> object:
    """Read an integer as people write it: pydantic also takes `1.0` and `1_000`."""
    if not isinstance(text, str):
        return text
    if not re.fullmatch("-?[0-9]{1,12}", text):
        raise PydanticCustomError("integer", "must be an integer")
    return int(text)


def _depth(text: object) -> object:
    """Read how many to re-rank."""
    if isinstance(text, str) and text != "auto":
        if not re.fullmatch("[0-9]{1,4}", text) or int(text) > MAX_HITS:
            raise PydanticCustomError("depth", "must be auto, or an integer from 0 to {most}", {"most": MAX_HITS})
        return int(text)
    return text


def _flag(text: object) -> object:
    """Read a boolean as JSON writes it: pydantic also takes `on` and `y`."""
    if isinstance(text, str) and text not in ("true", "false"):
        raise PydanticCustomError("flag", "must be true or false")
    return text


def _time(text: object) -> object:
    """Read a time as RFC 3339 writes it: pydantic also takes the seconds since 1970."""
    if isinstance(text, str) and "T" not in text.upper():
        raise PydanticCustomError("time", "must be a time of RFC 3339, for example 2026-01-02T03:04:05Z")
    return text


Absent = SkipJsonSchema[None]
"""It may be left out, but nobody can say null in a query."""

Project = Annotated[
    str, Path(pattern="^[a-z0-9][a-z0-9_-]{0,62}$", description="The project's name.", examples=["shop"])
]
ImageHash = Annotated[
    str, Path(pattern=SHA256, description="The image file's hash, in hexadecimal.", examples=["0" * 64])
]
Integer = BeforeValidator(_integer)
Flag = Annotated[bool, BeforeValidator(_flag)]
Time = Annotated[AwareDatetime, BeforeValidator(_time)]
Name = Annotated[str, Field(min_length=1, max_length=256)]
Label = Annotated[str, Field(pattern="^[^=]+=", max_length=321)]
Token = Annotated[str, Field(max_length=8192)]
NextPage = Annotated[
    Token, Field(description="Where to go on: `nextPageToken` of the page before; all else stays the same.")
]
Uri = Annotated[str, Field(min_length=1, max_length=2048)]


class Parameters(BaseModel):
    """The parameters of a request are all known ones: a filter with a typing error must not find everything."""

    model_config = ConfigDict(extra="forbid")


class Filters(Parameters):
    """The images of a request are those that all of these let pass."""

    product: list[Name] = Field([], max_length=100, description="Only of this product; several: any of them.")
    variant: list[Name] = Field([], max_length=100, description="Only of this variant; several: any of them.")
    staged: Flag | Absent = Field(None, description="Only staged ones, or only those that are not.")
    label: list[Label] = Field(
        [],
        max_length=64,
        description="Only with this label, `name=value`; several: any of the values of a name, and each of the names.",
    )
    uri_prefix: Uri | Absent = Field(None, description="Only where the URI begins with this.")

    def filter(self) -> Filter | None:
        """Return the filter; None: all images."""
        values = values_by_name(self.label)  # raises nothing: their pattern asks for the `=`
        image_filter = Filter(tuple(self.product), tuple(self.variant), self.staged, self.uri_prefix or "", values)
        return image_filter if image_filter != Filter() else None


class ImageList(Filters):
    """A list of images takes these parameters."""

    limit: Annotated[int, Field(ge=1, le=500), Integer] = Field(50, description="The most images.")
    page_token: NextPage = ""


class ProjectList(Parameters):
    """A list of projects takes these parameters."""

    limit: Annotated[int, Field(ge=1, le=500), Integer] = Field(50, description="The most projects.")
    page_token: NextPage = ""


class Search(Filters):
    """A search takes these parameters."""

    limit: Annotated[int, Field(ge=1, le=MAX_HITS), Integer] = Field(10, description="The most results.")
    offset: Annotated[int, Field(ge=0, le=MAX_HITS - 1), Integer] = Field(
        0, description="Results to leave out; with limit at most 1,000. Or else page_token."
    )
    page_token: Annotated[str, Field(max_length=MAX_SEARCH_TOKEN)] = Field(
        "",
        description="Where to go on: `nextPageToken` of the page before; all else stays the same."
        " It carries the query: nothing is sent again, but the photo where the page is to be verified.",
    )
    group_by: Literal["product"] | Absent = Field(None, description="`product`: rank products, by their best image.")
    min_similarity: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] | Absent = Field(
        None, description="The least similarity of results."
    )
    exact: Flag = Field(False, description="Compare every image, whatever it takes.")
    rerank: Annotated[Annotated[int, Field(ge=0, le=MAX_HITS)] | Literal["auto"], BeforeValidator(_depth)] = Field(
        0, description="Put so many of the nearest in order again; `auto`: as many as the searcher finds best."
    )
    verify: Annotated[int, Field(ge=0, le=100), Integer] = Field(
        0,
        description="Prove whether so many of the page's first results are copies. After a photo, a later page needs it"
        " again as its body. What is not compared says so in `matchBasis`.",
    )
    thorough: Flag = Field(
        False,
        description="With `verify` and a photo: compare what is nearest to views of it too, such as its middle and"
        " its quarters. It finds copies that were altered much, and takes ten times as long. There is one page.",
    )


class ImageSearch(Search):
    """A search with an image of the project, or with words, takes these parameters."""

    sha256: Annotated[str, Field(pattern=SHA256)] | Absent = Field(None, description="The image with this hash.")
    uri: Uri | Absent = Field(
        None, description="The image that is used at this URI; of several, the newest reference's."
    )
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS)] | Absent = Field(
        None,
        description="What images show, in words, if the model has a text encoder: `getModel` says.",
        examples=["red rain boots"],
    )


class CopySearch(Filters):
    """A search for copies takes these parameters."""

    candidates: Annotated[int, Field(ge=1, le=100), Integer] = Field(
        20, description="Nearest photos that the picture is compared with, and the most copies that are told."
    )
    thorough: Flag = Field(
        True,
        description="Compare further photos, nearest to views of the picture such as its quarters: it finds copies that"
        " were altered much, and takes ten times as long.",
    )


class Thumbnail(Parameters):
    """A thumbnail takes these parameters."""

    size: Annotated[Size, Integer] = Field(320, description="The longer side, in pixels.")


class Duplicates(Filters):
    """A search for duplicates takes these parameters."""

    min_similarity: Annotated[float, Field(ge=0.5, le=1, allow_inf_nan=False)] | Absent = Field(
        None, description="Of near duplicates: by default 0.95 where the cosine alone tells, 0.9 for verified ones."
    )
    same_file_only: Flag = Field(False, description="Only files that are used in several places.")
    verify: Flag = Field(
        True,
        description="Compare fingerprints, so that only proven copies are duplicates; where there are none, the cosine"
        " tells.",
    )
    other_label: list[Label] = Field(
        [],
        max_length=64,
        description="Only pairs of an image that passes the filter with one that has this label, `name=value`;"
        " several: as `label`.",
    )
    rest: Flag = Field(False, description="Only pairs of an image that passes the filter with one that does not.")
    across_products: Flag = Field(False, description="Only pairs of images that show different products.")
    newer_than: Time | Absent = Field(
        None, description="Only pairs of which one was first indexed at this time or later."
    )
    keep: Literal["largest", "oldest", "most-used"] = Field(
        "largest", description="By which rule each cluster's first image is suggested to be kept."
    )
    recoloured: Flag = Field(
        False, description="Where pairs are verified: the same photo in other colours is a duplicate, too."
    )
    resume_token: Token = Field("", description="Where to go on: `resumeToken` of an answer; all else stays the same.")

    def other(self) -> Filter | None:
        """Return what the other image of each pair must pass; None: the same as the one."""
        return Filter(labels=values_by_name(self.other_label)) if self.other_label else None


class SomeDuplicates(Duplicates):
    """A page of duplicates takes these parameters."""

    limit: Annotated[int, Field(ge=1, le=100), Integer] = Field(20, description="The most clusters.")
    max_seconds: Annotated[int, Field(ge=1, le=30), Integer] = Field(
        10, description="Answer after this time with what there is; but always come some way."
    )


class DismissalList(Parameters):
    """A list of dismissals takes these parameters."""

    limit: Annotated[int, Field(ge=1, le=1000), Integer] = Field(100, description="The most dismissals.")
    page_token: NextPage = ""


class DismissedImages(Parameters):
    """A deletion of dismissals takes these parameters."""

    image: list[Annotated[str, Field(pattern=SHA256)]] = Field(
        min_length=1,
        max_length=100,
        description="The hash of an image; several: of the pairs of these images; one: of all its pairs.",
    )


class Days(Parameters):
    """The quality of searches is asked for with these parameters."""

    days: Annotated[int, Field(ge=1, le=365), Integer] = Field(
        7, description="How many days, in UTC, the present one included."
    )


_LISTS: Final = frozenset({"product", "variant", "label", "other_label", "image"})


async def _nothing(_: Annotated[Parameters, Query()]) -> None:
    """Refuse every parameter of a route that has none."""


async def _given_once(request: Request) -> None:
    """Refuse a parameter that is there twice and is no list: FastAPI would take the last one."""
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        if count > 1 and name not in _LISTS:
            raise invalid(name, "must be given once", count)


NOTHING: Final = Depends(_nothing)
GIVEN_ONCE: Final = Depends(_given_once)
