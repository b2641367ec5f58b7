"""Run one adaptation: read vectors, learn, measure, and publish the space, which the searcher then fills."""

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final

import grpc
import numpy as np

from lookalike._operations import decode_duplicates, duplicates, feedback, projects, vectors
from lookalike._transport.call import Call
from lookalike.adapt import measure, sample
from lookalike.adapt.choose import PRODUCTS
from lookalike.adapt.learning import Projection, learn
from lookalike.adapt.sample import NO_PAIRS, Sample
from lookalike.adapt.space_name import space_name
from lookalike.errors import AlreadyExistsError, PreconditionError
from lookalike.records import Adaptation, Gain, Learning, MeasuredGain, Project, Space
from lookalike.records import Projection as Published
from lookalike.v1 import searcher_pb2 as wire

_MIN_PRODUCTS: Final = 20
"""The number of products with two or more images that a measurement needs at least."""
_MAX_DIMENSIONS: Final = 2048
"""The most dimensions of which a space is derived with as many of its own; see Projection in the proto."""


@dataclass(frozen=True)
class Signals:
    """The signals are what is learned from, beside products and feedback.

    Attributes:
        label: images without a product of two or more images are grouped by this label; empty: by none.
        tell_variants_apart: whether variants of a product are told apart.
        copies: whether pairs that fingerprints prove to be copies are alike.
        unlabelled: nothing at all is used but the vectors.
    """

    label: str = ""
    tell_variants_apart: bool = False
    copies: bool = False
    unlabelled: bool = False


async def adapt(call: Call, project_name: str, signals: Signals, *, publish: bool, seed: int) -> Adaptation:
    """Adapt a project; see `Client.adapt`."""
    details = await projects.get(call, project_name)
    source = _source(details)
    fraction = min(1.0, sample.most_images(source.dimensions) / max(1, details.image_count))
    copies = await _copies(call, project_name) if signals.copies else []
    async with (
        aclosing(vectors.read(call, project_name, source.name, fraction, signals.label)) as exported,
        aclosing(feedback.list_all(call, project_name)) as judgements,
    ):
        examples = await sample.collect(
            exported,
            judgements,
            source.name,
            source.dimensions,
            tell_variants_apart=signals.tell_variants_apart,
            copies=copies,
        )
    unlabelled = signals.unlabelled
    if unlabelled:
        examples = Sample(examples.vectors, np.full(len(examples.vectors), -1, np.int64), NO_PAIRS, NO_PAIRS)
    _check(project_name, examples, unlabelled=unlabelled)
    gain = None if unlabelled else await asyncio.to_thread(_measure, examples, seed)
    space = ""
    if publish and (gain is None or gain.helps):
        learned = await asyncio.to_thread(_learn_from, examples)
        learning = _learning(examples, signals, gain)
        space = await _publish(call, project_name, source.name, learned, learning)
    return Adaptation(
        source.name,
        len(examples.vectors),
        examples.products,
        gain,
        space,
        examples.labels,
        examples.judgements,
        examples.copies,
    )


async def _copies(call: Call, project_name: str) -> list[tuple[str, str]]:
    """Return the pairs of images that fingerprints prove to be copies; see `Client.find_duplicates`."""
    request = wire.FindDuplicatesRequest(project=project_name, verify=True)
    async with aclosing(duplicates.answers(call, request)) as answers:
        clusters = [decode_duplicates.cluster(answer) async for answer in answers if answer.HasField("cluster")]
    proven = (found for cluster in clusters for found in cluster.images if found.proof)
    return [(found.image.sha256, found.nearest_sha256) for found in proven]


def _source(project: Project) -> Space:
    """Return the space that the indexer writes to: the serving space, or the one that it is derived from.

    Raises:
        PreconditionError: its vectors have more dimensions than a derived space can be made of.
    """
    serving = next(space for space in project.spaces if space.serves)
    source = next(space for space in project.spaces if space.name == (serving.source or serving.name))
    if source.dimensions > _MAX_DIMENSIONS:
        raise PreconditionError(
            f"project {project.name!r}: space {source.name!r} has {source.dimensions:,} dimensions; adapting takes at"
            f" most {_MAX_DIMENSIONS:,}",
            reason="TOO_MANY_DIMENSIONS",
            metadata={"project": project.name, "found": str(source.dimensions), "limit": str(_MAX_DIMENSIONS)},
            code=grpc.StatusCode.FAILED_PRECONDITION,
        )
    return source


def _check(project_name: str, examples: Sample, *, unlabelled: bool) -> None:
    minimum = 2 if unlabelled else _MIN_PRODUCTS
    count, noun = (
        (len(examples.vectors), "images")
        if unlabelled
        else (examples.products + examples.labels, "products of two or more images")
    )
    if count < minimum:
        raise PreconditionError(
            f"project {project_name!r} has {count:,} {noun}; adapting to it needs at least {minimum}",
            reason="TOO_LITTLE_TO_LEARN_FROM",
            metadata={"project": project_name, "found": str(count), "needed": str(minimum)},
            code=grpc.StatusCode.FAILED_PRECONDITION,
        )


def _measure(examples: Sample, seed: int) -> Gain:
    held_out = measure.held_out(examples.groups, seed)
    learned = _learn_from(examples.only(~held_out))
    return measure.gain(examples.vectors[held_out], examples.groups[held_out], learned, seed)


def _learn_from(examples: Sample) -> Projection:
    return learn(examples.vectors, examples.groups, examples.pairs, examples.apart)


def _learning(examples: Sample, signals: Signals, gain: Gain | None) -> Learning:
    images = len(examples.vectors)
    if gain is None:
        return Learning("unlabelled", images, 0, 0)
    before, after, difference = gain.before.value, gain.after.value, gain.difference
    measured = MeasuredGain(gain.products, gain.queries, before, after, difference.low, difference.high)
    return Learning(
        PRODUCTS,
        images,
        examples.products,
        examples.judgements,
        measured,
        examples.labels,
        examples.copies,
        signals.tell_variants_apart,
    )


async def _publish(call: Call, project_name: str, source: str, learned: Projection, learning: Learning) -> str:
    """Create the space, unless an earlier run has created the same one, and return its name."""
    name = space_name(source, learned, "adapted")
    projection = Published(source, learned.matrix.ravel().tolist(), learned.centre.tolist(), learning)
    with suppress(AlreadyExistsError):  # the name is a digest, so a space of this name is the same
        await projects.create_space(call, project_name, name, projection=projection)
    return name
