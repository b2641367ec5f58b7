"""Searches are answered as these models say."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from lookalike_gateway.models.answer import Answer, Count, PageToken, rounded
from lookalike_gateway.models.image import ShownImage, Similarity
from lookalike_gateway.models.match import Basis, Match
from lookalike_gateway.models.proof import Proof

Milliseconds = Annotated[float, rounded(3)]


class Result(ShownImage):
    """A result is a similar image."""

    rank: int = Field(default=1, ge=1, description="From 1 on, over all pages.")
    similarity: Similarity = Field(description="Cosine, from -1 to 1.")
    score: Annotated[float, rounded(6)] = Field(
        description="What results are ordered by: the similarity, unless they were re-ranked."
    )
    match: Match
    match_basis: Basis
    proof: Proof | None = Field(description="What was done to the image; null unless it was proven to be the photo.")
    product: Annotated[str | None, BeforeValidator(lambda product: product or None)] = Field(
        description="Grouped by product, the one that the result stands for."
    )


class Timing(Answer):
    """The timing is in milliseconds, as the gateway saw it."""

    embed_ms: Milliseconds = Field(description="The embedder; 0 if it was not asked.")
    search_ms: Milliseconds = Field(description="The searcher.")


class SearchResult(Answer):
    """The answer to a search is one page of results."""

    count: Count = Field(description="How many results this page has.")
    offset: Count = Field(description="How many results came before.")
    total: Count = Field(
        description="How many images were ranked, which is the most results that all pages together can have."
    )
    results: list[Result] = Field(description="By their score.")
    next_page_token: PageToken
    mode: str = Field(
        description="How the ranking was made: `exact`, every image was compared; `approximate`, by an index."
    )
    reason: str = Field(
        description="Why it was made so: `index`, or, if exact: `below_threshold`, so few images that an index would be"
        " no faster; `index_building`; `asked`; `filter`, few images pass it; `fell_back`, the index found too few;"
        " `earlier_page`, which was exact; `other`."
    )
    query_featureless: bool = Field(
        description="Whether the query shows nothing but one colour, so that its likeness to the results means nothing."
    )
    images_ranked: Count = Field(
        description="Over how many images: where the filter was applied first, those that pass it."
    )
    space: str = Field(description="The embedding space that was searched.")
    search_id: str = Field(description="What feedback calls the search: the same on all its pages.")
    timing: Timing


class CopyResult(Answer):
    """The answer for a suspicious picture is what it is a copy of."""

    copies: list[Result] = Field(
        description="The photos that it is a copy of: the same file, or proven by both pictures; most similar first."
    )
    candidates: Count = Field(description="How many photos came into question, copies included.")
    unverified: Count = Field(
        description="How many of them could not be compared: there is no fingerprint, or too little to see."
    )
    timing: Timing
