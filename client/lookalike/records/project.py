"""These records are about projects: their limits, their spaces, and how searches go through them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lookalike.constants import DEFAULT_DIMENSIONS
from lookalike.records.tuning import Learning, Tuning, TuningPolicy


@dataclass(frozen=True)
class Limits:
    """Limits say what a project may hold and ask for; 0 stands for the server's own limit.

    Attributes:
        max_images: the most images.
        max_hits: the most hits of one search, or of one page: at most 1,000.
        searches_per_second: as the mean of some seconds, at each searcher.
        max_batch: the searches that one `search_batch` may hold: at most 100.
    """

    max_images: int = 0
    max_hits: int = 0
    searches_per_second: float = 0.0
    max_batch: int = 0


class IndexState(StrEnum):
    """The state says how far a space's index is."""

    NONE = "none"
    """There is none, and none is needed: searches are exact."""
    PENDING = "pending"
    """One is needed and will be built; until then searches are exact."""
    BUILDING = "building"
    """It is being built; until then searches are exact."""
    READY = "ready"
    """It is there: searches are approximate."""
    OTHER = "other"
    """A state that is newer than this library."""


@dataclass(frozen=True)
class Rung:
    """A rung is a value of `hnsw.ef_search`, and what it gave.

    Attributes:
        ef_search: the value.
        recall: the mean share of the true nearest that was found, 0 to 1.
        seconds: the median time of a ranking in the database.
    """

    ef_search: int
    recall: float
    seconds: float


@dataclass(frozen=True)
class Curve:
    """A curve says what each depth finds of the nearest images, and how long it takes.

    Attributes:
        hit_count: of so many nearest images.
        rungs: from the shallowest walk to the first that found enough, or to the deepest.
        exact_seconds: the median time of an exact ranking in the database.
    """

    hit_count: int
    rungs: tuple[Rung, ...]
    exact_seconds: float


@dataclass(frozen=True)
class Calibration:
    """A calibration says what was measured of an index: how deep searches should walk it.

    Attributes:
        create_time: when.
        image_count: how many images the project had then.
        query_count: how many queries were made.
        real_query_count: how many of these were vectors of real searches; the others were made of images.
        curves: for 10 and for 100 hits.
    """

    create_time: datetime
    image_count: int
    query_count: int
    real_query_count: int
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Index:
    """An approximate index belongs to a space.

    Attributes:
        state: how far it is.
        progress: while it is built, how far the present phase has come: 0 to 1.
        phase: while it is built, what is being done, in PostgreSQL's words.
        recall: the share of the true nearest that searches found, in the last samples: 0 to 1; None before the first.
        ef_search: how widely a search for ten hits looks around; 0 if such searches are exact.
        calibration: what was last measured to choose that; None without an index, or before the first time.
    """

    state: IndexState
    progress: float
    phase: str
    recall: float | None
    ef_search: int
    calibration: Calibration | None = None


@dataclass(frozen=True)
class Space:
    """A project has one vector for each image in each of its embedding spaces.

    Attributes:
        name: the embedding space; see Embedding.
        serves: whether searches are made in it, unless they ask for another one.
        vector_count: how many of the project's images have a vector in it.
        index: how searches go through it.
        create_time: when it was created.
        source: the space that it is derived from; empty if writers fill it themselves.
        dimensions: how many numbers each of its vectors has.
        learning: what it was learned from; None if it is not derived, or if nobody said so.
        neighbours: towards how many others each of its vectors is drawn; see Projection.
    """

    name: str
    serves: bool
    vector_count: int
    index: Index
    create_time: datetime
    source: str = ""
    dimensions: int = DEFAULT_DIMENSIONS
    learning: Learning | None = None
    neighbours: int = 0


@dataclass(frozen=True)
class Projection:
    """A space is derived by y = M (x - c) at length 1, of the vectors x of another space of the project.

    Attributes:
        source: that space, which is not derived itself.
        matrix: M row by row: a row for each dimension of y, of one number for each dimension of x.
        centre: c: a number for each dimension of x, at most of length 1.
        learning: what it was learned from, to be shown.
        neighbours: each image's y, but not a query's, is drawn towards those of so many that are nearest: 0 to 64.
    """

    source: str
    matrix: Sequence[float]
    centre: Sequence[float]
    learning: Learning | None = None
    neighbours: int = 0


@dataclass(frozen=True)
class Filling:
    """The filling says how far a derived space is: how many vectors it has, and how many its source has."""

    vector_count: int
    wanted_count: int


@dataclass(frozen=True)
class Project:
    """A project is a set of images that are searched together.

    Attributes:
        name: its name.
        space: the embedding space that serves.
        image_count: how many different images it holds.
        reference_count: how many references they have.
        create_time: when it was created.
        update_time: when its images or references last changed.
        limits: as they were set.
        search_enabled: whether it can be searched; if not, searches are refused with `SEARCH_DISABLED`.
        spaces: the serving one first; empty in a list of projects.
        fingerprints_enabled: whether fingerprints of its images are made and stored, by which copies are proven.
        tuning_policy: how far the searcher may tune it by itself.
        tuning: how far that has come; None in lists of projects.
    """

    name: str
    space: str
    image_count: int
    reference_count: int
    create_time: datetime
    update_time: datetime
    limits: Limits
    search_enabled: bool
    spaces: tuple[Space, ...]
    fingerprints_enabled: bool = True
    tuning_policy: TuningPolicy = TuningPolicy.OFF
    tuning: Tuning | None = None


@dataclass(frozen=True)
class ProjectPage:
    """A page holds some projects, without their spaces, and says where the next page begins: empty on the last one."""

    projects: tuple[Project, ...]
    next_page_token: str


@dataclass(frozen=True)
class SpaceFigures:
    """These figures say how a space did in a comparison.

    Attributes:
        space: which.
        same_product: the mean share of hits that show the product of the image searched for, over the images that
            have one: 0 to 1.
        median_seconds: of a search.
    """

    space: str
    same_product: float
    median_seconds: float


@dataclass(frozen=True)
class SpaceComparison:
    """A comparison sets two spaces side by side.

    Attributes:
        sample_count: how many images were searched for, in both.
        overlap: the mean share of hits that both gave, 0 to 1.
        serving: the space that serves.
        other: the other one.
    """

    sample_count: int
    overlap: float
    serving: SpaceFigures
    other: SpaceFigures
