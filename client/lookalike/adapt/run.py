"""One adaptation, from vectors to a space that is being filled."""

import asyncio
import hashlib
from contextlib import aclosing, suppress
from typing import Final

import grpc
import numpy as np

from lookalike._operations import feedback, projects, vectors
from lookalike._transport.call import Call
from lookalike.adapt import measure, sample
from lookalike.adapt.learning import Projection, learn
from lookalike.adapt.sample import NO_PAIRS, Sample
from lookalike.errors import AlreadyExistsError, PreconditionError
from lookalike.records import Adaptation, Gain, Project
from lookalike.records import Projection as Published

_LEAST_PRODUCTS: Final = 20
"""Products of two or more images without which nothing can be measured."""
_MOST_NAME: Final = 128
"""Characters of a space's name."""


async def adapt(call: Call, project: str, *, unlabelled: bool, publish: bool, seed: int) -> Adaptation:
    """See `Client.adapt`."""
    found = await projects.get(call, project)
    source = _source(found)
    fraction = min(1.0, sample.MOST_IMAGES / max(1, found.image_count))
    async with (
        aclosing(vectors.read(call, project, source, fraction)) as exported,
        aclosing(feedback.list_all(call, project)) as said,
    ):
        read = await sample.gathered(exported, said, source)
    if unlabelled:
        read = Sample(read.vectors, np.full(len(read.vectors), -1, np.int64), NO_PAIRS, NO_PAIRS)
    _check(project, read, unlabelled=unlabelled)
    gain = None if unlabelled else await asyncio.to_thread(_measured, read, seed)
    space = ""
    if publish and (gain is None or gain.helps):
        learned = await asyncio.to_thread(_learned, read)
        space = await _published(call, project, source, learned)
    return Adaptation(source, len(read.vectors), read.products, gain, space)


def _source(project: Project) -> str:
    """The space that writers fill, if another one that is derived from it serves."""
    serving = next(space for space in project.spaces if space.serves)
    return serving.source or serving.name


def _check(project: str, read: Sample, *, unlabelled: bool) -> None:
    least = 2 if unlabelled else _LEAST_PRODUCTS
    count, what = (len(read.vectors), "images") if unlabelled else (read.products, "products of two or more images")
    if count < least:
        raise PreconditionError(
            f"project {project!r} has {count:,} {what}; adapting to it needs at least {least}",
            reason="TOO_LITTLE_TO_LEARN_FROM",
            metadata={"project": project, "found": str(count), "needed": str(least)},
            code=grpc.StatusCode.FAILED_PRECONDITION,
        )


def _measured(read: Sample, seed: int) -> Gain:
    held_out = measure.held_out(read.groups, seed)
    learned = _learned(read.only(~held_out))
    return measure.gain(read.vectors[held_out], read.groups[held_out], learned, seed)


def _learned(read: Sample) -> Projection:
    return learn(read.vectors, read.groups, read.pairs, read.apart)


async def _published(call: Call, project: str, source: str, learned: Projection) -> str:
    """Make the space, unless an earlier run has made the same; its name."""
    name = _name(source, learned)
    projection = Published(source, learned.matrix.ravel().tolist(), learned.centre.tolist())
    with suppress(AlreadyExistsError):  # the name stands for what it is made of
        await projects.create_space(call, project, name, projection)
    return name


def _name(source: str, learned: Projection) -> str:
    """`<source's architecture>-adapted-<12 hex>`: a digest over all that makes the space what it is."""
    parts = (source.encode(), learned.matrix.astype("<f4").tobytes(), learned.centre.astype("<f4").tobytes())
    ending = f"-adapted-{hashlib.sha256(b''.join(parts)).hexdigest()[:12]}"
    return source.rpartition("-")[0][: _MOST_NAME - len(ending)] + ending if "-" in source else source[:64] + ending
