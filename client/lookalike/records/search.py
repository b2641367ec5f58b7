"""These records say what a search asks, and what is answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from lookalike.records.embedding import Embedding
from lookalike.records.image import Reference
from lookalike.records.proof import MatchBasis, Proof

DEFAULT_LIMIT: Final = 10

Labels = Mapping[str, str | Sequence[str]]
"""By a label's name, its value, or several of which any will do."""


@dataclass(frozen=True)
class Filter:
    """A filter selects images: those with at least one reference that meets every condition that is given.

    Attributes:
        products: the reference is of this product, or of one of these: at most 1,000.
        variants: the reference is of this variant, or of one of these: at most 1,000.
        staged: the reference is staged, or is not; None: either.
        uri_prefix: the reference's URI begins with this.
        labels: a mapping is met if each of its names is: `{"colour": ("red", "blue"), "brand": "x"}` stands for red or
            blue, and of brand x. For alternatives between names, a sequence of mappings, each of which is met if any
            one of its labels is: `[{"brand": "x", "maker": "x"}, {"colour": "red"}]` stands for brand or maker x, and
            red. At most 16 names, or mappings, of at most 64 labels each.
    """

    products: str | Sequence[str] = ()
    variants: str | Sequence[str] = ()
    staged: bool | None = None
    uri_prefix: str = ""
    labels: Labels | Sequence[Labels] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """An example says what hits are to be like, or unlike: an image, an image of the project, or a vector.

    Attributes:
        image: the bytes of an image file, or the path of one; the embedder makes the vector.
        sha256: the hash, in hexadecimal, of an image that the project holds.
        uri: where an image of the project is used.
        embedding: a vector.

    Raises:
        ValueError: not exactly one was given.
    """

    image: bytes | Path | None = None
    sha256: str | None = None
    uri: str | None = None
    embedding: Embedding | None = None

    def __post_init__(self) -> None:
        """Check that there is one."""
        if sum(value is not None for value in (self.image, self.sha256, self.uri, self.embedding)) != 1:
            raise ValueError("an example is exactly one of image, sha256, uri and embedding")


@dataclass(frozen=True)
class Query:
    """A query is exactly one of image, text, sha256, uri, embedding and positives, with how the answer is to be.

    Attributes:
        image: the bytes of an image file, or the path of one.
        text: what hits show, in words, where the embedder's model has a text encoder.
        sha256: the hash, in hexadecimal, of an image that the project holds; with an embedding, of the file that the
            vector was made of, so that the same file is told from near duplicates.
        uri: where an image of the project is used.
        embedding: a vector of the searched space.
        positives: hits are like these: 1 to 100. Those that are images of the project are no hits.
        negatives: and unlike these: at most 100, with positives only.
        limit: the most hits, 1 to 1,000.
        filter: which images to rank; None: all.
        min_similarity: hits have at least this similarity, -1 to 1; None: any.
        page_token: where to go on: a result's `next_page_token`. All else but the limit stays the same, vectors too;
            for several pages of what has to be embedded see `Client.search_pages`.
        group_by_product: rank products, each by its most similar image.
        exact: compare every image, whatever it takes.
        space: the project's space to search in; None: the one that serves.
        rerank: order so many of the nearest again, by how they lie to one another: 0 for none, to 1,000; "auto": as
            many as the searcher finds best. It finds more of what is alike in kind, for some milliseconds. What lies
            beyond follows by similarity, also on later pages. What is indexed or deleted between two pages, among the
            nearest, may put a hit on both of them, or on none.
        verify: prove whether so many of the page's first hits are copies: 0 for none, to 100. It takes some
            milliseconds, and changes what is said of hits, not which there are. An embedding needs its fingerprint for
            it, or the hash of an image of the project. No copy of a text can be proven.
        thorough: compare what is nearest to views of the picture too, such as its middle and its quarters, with
            `verify`: it finds copies that were altered much, and takes ten times as long, nearly all of it on the
            embedder. Those that are proven take the place of the last hits that are not; their similarity is the
            greatest, to the picture or a view. For an image, or an embedding with views; not with grouping or
            re-ranking. There is one page.

    Raises:
        ValueError: not exactly one query was given, or negatives without positives, or it is to be thorough without
            `verify`, or for neither an image nor an embedding.
    """

    image: bytes | Path | None = None
    text: str | None = None
    sha256: str | None = None
    uri: str | None = None
    embedding: Embedding | None = None
    positives: Sequence[Example] = ()
    negatives: Sequence[Example] = ()
    limit: int = DEFAULT_LIMIT
    filter: Filter | None = None
    min_similarity: float | None = None
    page_token: str = ""
    group_by_product: bool = False
    exact: bool = False
    space: str | None = None
    rerank: int | Literal["auto"] = 0
    verify: int = 0
    thorough: bool = False

    def __post_init__(self) -> None:
        """Check that there is one way to ask."""
        sha256 = None if self.embedding else self.sha256
        single = (self.image, self.text, sha256, self.uri, self.embedding)
        if sum(value is not None for value in single) + bool(self.positives) != 1:
            raise ValueError("a search takes exactly one of image, text, sha256, uri, embedding and positives")
        if self.negatives and not self.positives:
            raise ValueError("a search takes negatives only with positives")
        if self.thorough and not (self.verify and (self.image is not None or self.embedding)):
            raise ValueError("a thorough search takes verify, and an image or an embedding")


class Match(StrEnum):
    """A match says what kind of likeness a hit is."""

    EXACT = "exact"
    """The same file, byte for byte."""
    NEAR_DUPLICATE = "near-duplicate"
    """The same photo: verified, whatever was done to it; by the cosine, with slight changes."""
    RECOLOURED = "recoloured"
    """The same photo in other colours: a colour variant made of it, or a retouched copy. Only where it was verified."""
    SIMILAR = "similar"
    """Another photo, or one that was changed much."""


class SearchMode(StrEnum):
    """The mode says how a ranking was made."""

    EXACT = "exact"
    """Every image, or every one that passes the filter, was compared: the hits are the nearest ones."""
    APPROXIMATE = "approximate"
    """The index was asked: some of the nearest may be missing, see Index.recall; the hits are as many all the same."""
    OTHER = "other"
    """In a way that is newer than this library."""


class SearchReason(StrEnum):
    """The reason says why a ranking was made through the index, or why exactly."""

    INDEX = "index"
    """The index was walked: the ranking is approximate. All other reasons are those of exact ones."""
    BELOW_THRESHOLD = "below_threshold"
    """There are so few images that to compare all takes no longer than to walk an index."""
    INDEX_BUILDING = "index_building"
    """There should be an index, but it is not built yet: searches will be faster."""
    ASKED = "asked"
    """The query asked for it."""
    FILTER = "filter"
    """So few images pass the filter that all of them were compared."""
    FELL_BACK = "fell_back"
    """The walk through the index found too few images, or would have had to be too deep."""
    EARLIER_PAGE = "earlier_page"
    """An earlier page of the search was ranked exactly."""
    OTHER = "other"
    """A reason that is newer than this library, or none: the searcher is older."""


@dataclass(frozen=True)
class Hit:
    """A hit is one similar image.

    Attributes:
        similarity: the cosine between query and image, in [-1, 1].
        match: what kind of likeness it is.
        sha256: the image's hash, in hexadecimal.
        width: in pixels; 0 if unknown.
        height: in pixels; 0 if unknown.
        references: where it is used, oldest first: at most 100. With a filter, only those that pass it; grouped by
            product, only those of the product.
        reference_count: in how many such places it is used.
        product: grouped by product, the product that it stands for; empty for an image without one.
        score: what hits are ordered by, in [-1, 1]: the similarity, unless they were re-ranked.
        featureless: whether the image shows nothing but one colour, so that it is a near duplicate of nothing.
        match_basis: how the match was found out.
        proof: what was done to the image; None unless it was proven to be the same photo.
    """

    similarity: float
    match: Match
    sha256: str
    width: int
    height: int
    references: tuple[Reference, ...]
    reference_count: int
    product: str
    score: float
    featureless: bool = False
    match_basis: MatchBasis = MatchBasis.OTHER
    proof: Proof | None = None

    @property
    def is_copy(self) -> bool:
        """Return whether the query is a copy of it for certain: the same file, or proven to be the same photo."""
        return self.proof is not None or self.match_basis is MatchBasis.FILE

    @property
    def is_compared(self) -> bool:
        """Return whether both pictures were compared, or are one file; else the match is what the cosine says."""
        return self.match_basis in (MatchBasis.FILE, MatchBasis.FINGERPRINT)


@dataclass(frozen=True)
class SearchResult:
    """The result is the answer to a search.

    Attributes:
        hits: most similar first, or re-ranked, by their score; equal ones in the order in which they were first
            indexed.
        mode: how the ranking was made.
        images_ranked: over how many images: where the filter was applied first, those that pass it; else all.
        next_page_token: where the next page begins; empty if this is the last one.
        space: the space that was searched.
        embed_seconds: how long the embedder took, as the client saw it; 0 if it was not asked.
        search_seconds: how long the searcher took, as the client saw it: with the whole batch, where it was one.
        search_id: what `Client.record_feedback` calls the search: the same on all of its pages.
        reason: why the ranking was made in this way.
        query_featureless: whether the query shows nothing but one colour, so that likeness to it means nothing.
    """

    hits: tuple[Hit, ...]
    mode: SearchMode
    images_ranked: int
    next_page_token: str
    space: str
    embed_seconds: float
    search_seconds: float
    search_id: str = ""
    reason: SearchReason = SearchReason.OTHER
    query_featureless: bool = False
