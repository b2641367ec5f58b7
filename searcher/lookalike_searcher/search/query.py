"""Resolve a query to one vector, from vectors and images of the project."""

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg
import numpy as np

from lookalike_searcher.database import halfvec
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.errors import FailedPrecondition, InvalidField, Measure, NotFound
from lookalike_searcher.images.image import Embedding
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.projection import Projections
from lookalike_searcher.projects.space import Space


class Example(NamedTuple):
    """An example is a vector, the project's image with this hash, or the project's image at this URI."""

    embedding: Embedding | None = None
    sha256: bytes = b""
    uri: str = ""


class Query(NamedTuple):
    """A query has examples that hits should resemble, and others that they should not.

    Attributes:
        positives: the examples to resemble, at least one.
        negatives: the examples not to resemble.
        sha256: the hash of the query's own file, if it is a file and its hash is known.
        leave_out: whether examples that are images of the project cannot be hits.
    """

    positives: tuple[Example, ...]
    negatives: tuple[Example, ...] = ()
    sha256: bytes = b""
    leave_out: bool = False

    @property
    def has_own_file(self) -> bool:
        """Return whether the query is one file whose hash is given, or is that of an image of the project."""
        return len(self.positives) + len(self.negatives) == 1 and bool(self.sha256 or not self.positives[0].embedding)


class Resolved(NamedTuple):
    """The query is resolved to a vector, encoded. With it come its file's hash, and the images that cannot be hits.

    In a derived space, it also has a vector in the source; empty if an example was given in the derived space. It is
    featureless if all its examples are.
    """

    vector: bytes
    sha256: bytes
    excluded: Sequence[int] = ()
    source_vector: bytes = b""
    featureless: bool = False


async def resolve(
    connection: Connection, projections: Projections, project: Project, space: Space, query: Query
) -> Resolved:
    """Look up the images of the query, and combine all vectors to one.

    Raises:
        NotFound: the project has no such image.
        FailedPrecondition: a vector is of another space.
        InvalidField: a vector has other dimensions than its space, or positives and negatives cancel each other out.
    """
    if given := resolve_given(space, query):
        return given
    examples = [*query.positives, *query.negatives]
    source = project.base(space)
    for example in examples:
        if example.embedding:
            _check(example.embedding, project, space, source)
    images = await _images(connection, project, space, examples)
    vectors = [example.embedding.vector if example.embedding else images[example].vector for example in examples]
    of_source: list[bytes] = []
    if space.source_id:
        of_source = await _of_source(connection, project, source, examples, images)
        places = [place for place, example in enumerate(examples) if _is_of(example, source)]
        projection = await projections.of(connection, space.id)
        for place, projected in zip(places, await projection.of([vectors[place] for place in places]), strict=True):
            vectors[place] = projected
    positives = len(query.positives)
    return Resolved(
        vector=_combined(vectors, positives, space.dimensions),
        sha256=(images[examples[0]].sha256 if images else query.sha256) if len(examples) == 1 else b"",
        excluded=[image.id for image in images.values()] if query.leave_out else [],
        source_vector=_combined(of_source, positives, source.dimensions) if of_source and all(of_source) else b"",
        featureless=all((example.embedding or images[example]).featureless for example in examples),
    )


def _check(embedding: Embedding, project: Project, space: Space, source: Space) -> None:
    """Check that the vector is one of the space, or of its source. Raises FailedPrecondition or InvalidField."""
    own = next((candidate for candidate in (space, source) if candidate.name == embedding.space), None)
    if own is None:
        raise FailedPrecondition.wrong_space(project.name, space.name, embedding.space)
    if misfit := own.misfit(len(embedding.vector)):
        raise misfit


def resolve_given(space: Space, query: Query) -> Resolved | None:
    """Resolve a query of vectors of this space, which is not derived; None if anything must be looked up for it."""
    if space.source_id:
        return None
    given = []
    for example in (*query.positives, *query.negatives):
        embedding = example.embedding
        if embedding is None or embedding.space != space.name or space.misfit(len(embedding.vector)):
            return None
        given.append(embedding)
    return Resolved(
        vector=_combined([embedding.vector for embedding in given], len(query.positives), space.dimensions),
        sha256=query.sha256,
        featureless=all(embedding.featureless for embedding in given),
    )


def _is_of(example: Example, space: Space) -> bool:
    """Return whether the example is a vector of the space."""
    return example.embedding is not None and example.embedding.space == space.name


async def _of_source(
    connection: Connection, project: Project, source: Space, examples: Sequence[Example], images: "_Images"
) -> list[bytes]:
    """Return the examples' vectors in the source; empty for one that was given in the derived space."""
    ids = [image.id for image in images.values()]
    rows = await connection.fetch(statement("neighbour_vectors", project.id, source.id), ids) if ids else []
    stored = {row["image_id"]: row["vector"] for row in rows}
    vectors = []
    for example in examples:
        own = example.embedding.vector if example.embedding and _is_of(example, source) else b""
        vectors.append(own if example.embedding else stored[images[example].id])
    return vectors


def _combined(halfvecs: Sequence[bytes], positives: int, dimensions: int) -> bytes:
    """Return twice the positives' mean less the negatives' (Qdrant's strategy `average_vector`), at length 1."""
    if len(halfvecs) == 1:
        return halfvecs[0]
    vectors = halfvec.decode(halfvecs, dimensions)
    mean = vectors[:positives].mean(axis=0)
    if len(vectors) > positives:
        mean = 2 * mean - vectors[positives:].mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < 1e-3:  # the rest is only rounding
        raise InvalidField("negatives", "must not cancel out the positives", Measure(f"length {length:g}"))
    return halfvec.encode_vector(mean / length)


class _Image(NamedTuple):
    """An image of the project that is an example."""

    id: int
    vector: bytes
    sha256: bytes
    featureless: bool


_Images = dict[Example, _Image]


async def _images(connection: Connection, project: Project, space: Space, examples: Sequence[Example]) -> _Images:
    """Return the image of each example that is one of the project. Raises NotFound."""
    sha256s = [example.sha256 for example in examples if example.sha256 and not example.embedding]
    uris = [example.uri for example in examples if example.uri]
    by_sha256, by_uri = {}, {}
    if sha256s:
        rows = await connection.fetch(statement("vector_of_sha256", project.id, space.id), sha256s)
        by_sha256 = {row["sha256"]: _image(row) for row in rows}
    if uris:
        rows = await connection.fetch(statement("vector_of_uri", project.id, space.id), uris)
        by_uri = {row["uri"]: _image(row) for row in rows}
    images: _Images = {}
    for example in examples:
        if example.embedding:
            continue
        image = by_uri.get(example.uri) if example.uri else by_sha256.get(example.sha256)
        if image is None:
            missing = NotFound.image_at if example.uri else NotFound.image
            raise missing(project.name, example.uri or example.sha256)  # type: ignore[arg-type]
        images[example] = image
    return images


def _image(row: asyncpg.Record) -> _Image:
    return _Image(row["id"], row["vector"], row["sha256"], row["featureless"])
