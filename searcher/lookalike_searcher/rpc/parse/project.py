"""Parse projects and their spaces."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from lookalike._operations import learning as learnings
from lookalike.constants import DEFAULT_DIMENSIONS
from lookalike.records import Learning, TuningPolicy
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher import validation
from lookalike_searcher.database.halfvec import MAX_DIMENSIONS
from lookalike_searcher.errors import InvalidField, Measure
from lookalike_searcher.images import export as exporting
from lookalike_searcher.projects.project import Limits
from lookalike_searcher.projects.projection import MAX_NEIGHBOURS, MAX_NUMBERS, Projection
from lookalike_searcher.projects.spaces import Derivation
from lookalike_searcher.rpc import page_token
from lookalike_searcher.rpc.parse import vector

_MIN_RANK: Final = 16
"""A projection needs this rank: in fewer dimensions, unrelated photos are as near as photos of one product."""
_NEGLIGIBLE: Final = 1e-6
"""A singular value of a projection that is smaller than the first by this factor counts as zero."""

_SWITCHES: Final[tuple[Literal["search_disabled", "fingerprints_disabled"], ...]] = (
    "search_disabled",
    "fingerprints_disabled",
)
_OF_TUNING: Final = ("tuning_policy", "accept_space")
_POLICIES: Final[Mapping["wire.TuningPolicy.ValueType", TuningPolicy]] = {
    wire.TUNING_POLICY_OFF: TuningPolicy.OFF,
    wire.TUNING_POLICY_PROPOSE: TuningPolicy.PROPOSE,
    wire.TUNING_POLICY_AUTO: TuningPolicy.AUTO,
}


def limits(message: wire.Limits, field: str = "limits") -> Limits:
    """Return the limits of a project. Raises InvalidField."""
    return Limits(
        max_images=int(validation.between(f"{field}.max_images", message.max_images, 0, 2**53)),
        max_hits=int(validation.between(f"{field}.max_hits", message.max_hits, 0, validation.MAX_LIMIT)),
        searches_per_second=validation.between(
            f"{field}.searches_per_second", message.searches_per_second, 0, 1_000_000
        ),
        max_batch=int(validation.between(f"{field}.max_batch", message.max_batch, 0, validation.MAX_BATCH)),
    )


@dataclass(frozen=True)
class Update:
    """An update has a project's new limits and policy, None for the old ones, its switches, and what it accepts."""

    limits: Limits | None
    switches: Mapping[str, bool]
    policy: TuningPolicy | None
    accepted: str


def update(request: wire.UpdateProjectRequest) -> Update:
    """Return what is to change in a project."""
    limits_given, policy_given = request.HasField("limits"), request.HasField("tuning_policy")
    switches: dict[str, bool] = {name: getattr(request, name) for name in _SWITCHES if request.HasField(name)}
    if not limits_given and not policy_given and not switches and not request.accept_space:
        raise InvalidField("limits", f"is required, or else {' or '.join((*_SWITCHES, *_OF_TUNING))}")
    return Update(
        limits(request.limits) if limits_given else None,
        switches,
        tuning_policy(request.tuning_policy) if policy_given else None,
        validation.space(request.accept_space, "accept_space") if request.accept_space else "",
    )


def tuning_policy(value: "wire.TuningPolicy.ValueType", default: str = "") -> TuningPolicy:
    """Return a policy; unspecified stands for the default, if there is one. Raises InvalidField."""
    if value in _POLICIES:
        return _POLICIES[value]
    if value != wire.TUNING_POLICY_UNSPECIFIED or not default:
        raise InvalidField("tuning_policy", "must be TUNING_POLICY_OFF, _PROPOSE or _AUTO", value)
    return TuningPolicy(default)


def learning(message: wire.Learning, field: str) -> Learning:
    """Return what a space was learned from. Raises InvalidField."""
    if not re.fullmatch(r"[a-z_-]{1,40}", message.method):
        raise InvalidField(f"{field}.method", "must be 1 to 40 letters of a to z, `-` or `_`", message.method)
    for name in ("image_count", "product_count", "judgement_count", "label_count", "copy_count"):
        validation.between(f"{field}.{name}", getattr(message, name), 0, 2**53)
    if message.HasField("gain"):
        for name in ("product_count", "query_count"):
            validation.between(f"{field}.gain.{name}", getattr(message.gain, name), 0, 2**53)
        for name in ("before", "after", "low", "high"):
            validation.between(f"{field}.gain.{name}", getattr(message.gain, name), -1, 1)
    return learnings.decode(message)


def dimensions(value: int) -> int:
    """Return how many dimensions a space has; 0 stands for the default. Raises InvalidField."""
    if not 1 <= (count := value or DEFAULT_DIMENSIONS) <= MAX_DIMENSIONS:
        rule = f"must be 1 to {MAX_DIMENSIONS}, the most that an HNSW index over halfvec takes"
        raise InvalidField("dimensions", rule, value)
    return count


def derivation(request: wire.CreateSpaceRequest) -> Derivation:
    """Return the derivation of a space. The check of a large projection takes some tenths of a second."""
    message = request.projection
    source = validation.space(message.source, "projection.source")
    parsed = projection(message.matrix, message.centre)
    if request.dimensions not in (0, parsed.dimensions):
        rule = f"must be 0 or {parsed.dimensions}, as projection.matrix has so many rows"
        raise InvalidField("dimensions", rule, request.dimensions)
    given = message.HasField("learning")
    validation.between("projection.neighbour_count", message.neighbour_count, 0, MAX_NEIGHBOURS)
    parsed = replace(parsed, neighbours=message.neighbour_count)
    return Derivation(source, parsed, learning(message.learning, "projection.learning") if given else None)


def projection(matrix_given: Sequence[float] | np.ndarray, centre_given: Sequence[float] | np.ndarray) -> Projection:
    """Return a projection whose matrix has a column for each number of the centre. Raises InvalidField."""
    centre = vector.numbers("projection.centre", centre_given)
    columns = len(centre)
    if not 1 <= columns <= MAX_DIMENSIONS:
        raise InvalidField("projection.centre", f"must be 1 to {MAX_DIMENSIONS} numbers", Measure(f"{columns} numbers"))
    rows, rest = divmod(len(matrix_given), columns)
    most = min(MAX_DIMENSIONS, MAX_NUMBERS // columns)
    if rest or not 1 <= rows <= most:
        rule = f"must be 1 to {most} rows of {columns} numbers, as many as projection.centre has"
        raise InvalidField("projection.matrix", rule, Measure(f"{len(matrix_given)} numbers"))
    matrix = vector.numbers("projection.matrix", matrix_given).reshape(rows, columns)
    length = float(np.linalg.norm(centre.astype(np.float64)))
    if length > 1 + vector.LENGTH_TOLERANCE:
        raise InvalidField("projection.centre", "must be at most of length 1", Measure(f"length {length:g}"))
    least = min(_MIN_RANK, rows, columns)
    rank = _rank(matrix)
    if rank < least:
        raise InvalidField("projection.matrix", f"must be at least of rank {least}", Measure(f"rank {rank}"))
    return Projection(matrix, centre)


def _rank(matrix: np.ndarray) -> int:
    """Return how many singular values of the matrix are not negligible, as far as they matter here.

    They are those of its product with a few random columns, which has no higher rank, and is computed in a hundredth of
    the time (Halko, Martinsson, Tropp: "Finding structure with randomness", SIAM Review 2011).
    """
    columns = np.random.default_rng(0).standard_normal((matrix.shape[1], 4 * _MIN_RANK))
    return int(np.linalg.matrix_rank(matrix.astype(np.float64) @ columns, rtol=_NEGLIGIBLE))


def export(request: wire.ExportVectorsRequest) -> tuple[exporting.ExportQuery, str]:
    """Return which vectors to export, and the digest of the request for resume tokens."""
    request_digest, after = page_token.digest(request, "resume_token"), None
    if request.resume_token:
        after = exporting.Place(
            *page_token.decode(request.resume_token, request_digest, exporting.PLACE_TYPES, "resume_token")
        )
    query = exporting.ExportQuery(
        project_name=validation.project_name(request.project, "project"),
        space=validation.space(request.space) if request.space else "",
        fraction=validation.between("fraction", request.fraction, 0, 1),
        after=after,
        label=validation.label("label", request.label, "")[0] if request.label else "",
    )
    return query, request_digest
