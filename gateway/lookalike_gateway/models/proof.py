"""Answers say by these models what proves that two pictures are the same photo."""

from typing import Annotated

from pydantic import Field

from lookalike_gateway.models.answer import Answer, Count, rounded

Share = Annotated[float, Field(ge=-0.001, le=1.001), rounded(4)]
Place = Annotated[float, rounded(4)]


class Point(Answer):
    """A point is a place in a picture, in shares of its sides from the upper left corner; it may lie outside."""

    x: Place
    y: Place


class Region(Answer):
    """A region is a part of a picture, in shares of its sides from the upper left corner."""

    left: Place
    top: Place
    right: Place
    bottom: Place


class Proof(Answer):
    """A proof says what made the query's picture of the image."""

    confidence: Share = Field(description="How sure it is that both are the same photo.")
    overlap: Share = Field(description="The share that both show, of the one that shows less.")
    of_query: Share = Field(description="The share of the query that shows the image; less if it has a border.")
    of_image: Share = Field(description="The share of the image that the query shows; less if it was cropped.")
    mirrored: bool = Field(description="Whether the image was mirrored, before it was turned.")
    turned: Annotated[float, rounded(1)] = Field(description="By how many degrees, clockwise, -180 to 180.")
    stretched: Annotated[float, rounded(3)] = Field(
        description="How much longer one direction became than the other; 1 for not at all."
    )
    corners_in_query: list[Point] = Field(
        description="Where the image's corners lie in the query, from the upper left one clockwise."
    )
    corners_in_image: list[Point] = Field(description="Where the query's corners lie in the image.")
    recoloured: Annotated[float, rounded(2)] = Field(
        description="The mean distance of the colours, in a and b of CIELAB; up to 3 by compression alone."
    )
    covered: Region | None = Field(description="The largest part of the query that shows something else.")
    inliers: Count = Field(description="How many keypoints lie where they should.")
    bordered: bool = Field(description="Whether the query shows more than the image.")
    cropped: bool = Field(description="Whether the query shows less than the image.")
