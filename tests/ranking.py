"""Which hits a search ought to give: numpy over the vectors of a `Catalogue`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.catalogue import Catalogue, Filter, Refused, Shown, halved, point

Example = tuple[str, int | str]
"""`vector` and an image's number, whose vector is sent; `sha256` and an image's number; `uri` and where it is used."""


@dataclass(frozen=True)
class Query:
    """What is searched for; `vector_space` is what sent vectors are said to be of."""

    positives: tuple[Example, ...]
    negatives: tuple[Example, ...]
    several: bool
    vector_space: str
    space: str
    chosen: Filter
    min_similarity: float | None
    by_product: bool


@dataclass(frozen=True)
class Hit:
    """One expected hit."""

    image: int
    product: str
    similarity: float
    references: tuple[Shown, ...]


def rank(catalogue: Catalogue, query: Query) -> list[Hit]:
    """All hits: the query's own image, then the most similar first, equal ones in the order of their indexing."""
    space = query.space or catalogue.serving
    there = catalogue.in_space(space)
    sought, named = _resolved(catalogue, query, space, there)
    excluded, own = (named, set[int]()) if query.several else (set[int](), named)
    similarities = {image: _cosine(point(image, space), sought) for image in there - excluded}
    age = {image: number for number, image in enumerate(catalogue.widths)}
    order = sorted(similarities, key=lambda image: (image not in own, -similarities[image], age[image]))
    hits = [hit for image in order for hit in _hits(catalogue, query, image, similarities[image])]
    if query.by_product:
        hits = sorted(_best(hits), key=lambda hit: (hit.image not in own, -hit.similarity, age[hit.image], hit.product))
    least = -1.0 if query.min_similarity is None else query.min_similarity
    return [hit for hit in hits if hit.similarity >= least]


def _resolved(catalogue: Catalogue, query: Query, space: str, there: set[int]) -> tuple[np.ndarray, set[int]]:
    """The vector to rank by, and the images that the query names."""
    examples = [*query.positives, *query.negatives]
    if any(kind == "vector" for kind, _ in examples) and query.vector_space != space:
        raise Refused("WRONG_SPACE")
    images = [_image(catalogue, example, there) for example in examples]
    named = {image for (kind, _), image in zip(examples, images, strict=True) if kind != "vector"}
    vectors = np.array([point(image, space) for image in images], np.float64)
    combined = vectors[: len(query.positives)].mean(axis=0)
    if query.negatives:
        combined = 2 * combined - vectors[len(query.positives) :].mean(axis=0)
    return halved(combined / np.linalg.norm(combined)), named


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def _image(catalogue: Catalogue, example: Example, there: set[int]) -> int:
    kind, value = example
    if kind == "uri":
        return catalogue.at(str(value), there)
    if kind == "sha256" and value not in there:
        raise Refused("IMAGE_NOT_FOUND")
    return int(value)


def _hits(catalogue: Catalogue, query: Query, image: int, similarity: float) -> list[Hit]:
    """The image as a hit; by product, as one for each product that shows it."""
    references = catalogue.shown(image, query.chosen)
    if not query.by_product:
        return [Hit(image, "", similarity, tuple(references))] * bool(references)
    products = sorted({key[1] for key, _ in references})
    shown = {product: tuple(found for found in references if found[0][1] == product) for product in products}
    return [Hit(image, product, similarity, references) for product, references in shown.items()]


def _best(hits: Sequence[Hit]) -> list[Hit]:
    """The first of each product's, and all without one."""
    seen: set[str] = set()
    best = []
    for hit in hits:
        if hit.product not in seen:
            best.append(hit)
        seen |= {hit.product} - {""}
    return best
