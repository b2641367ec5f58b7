"""int8 beside the precision that is chosen by itself: how much faster, and how near its vectors are to fp32's."""

import statistics
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike_embedder import calibration, image, model, projection
from lookalike_embedder.errors import Unsupported
from lookalike_embedder.image import Pixels
from tests.bench import bare_model
from tests.bench.bare_model import Model
from tests.bench.figures import Figure
from tests.bench.interleaving import ratio, take_turns
from tests.bench.setting import CACHE_DIR, LIMITS, Setting, trunk

_MOST_PHOTOS = 200
_SECONDS = 4.0
_CALIBRATED = "the calibration's photos are the demo's, so only --photos shows others"


async def measure(setting: Setting) -> list[Figure]:
    """The bare loops take turns, one image at a time on all cores; then the vectors of the photos are compared."""
    weights, head = trunk(), projection.shipped()
    try:
        growth = calibration.find(CACHE_DIR, weights.sha256)
        int8 = model.load(weights.tensors, device="cpu", precision="int8", growth=growth, projection=head)
    except Unsupported as error:
        return [Figure(name, None, str(error)) for name in ("int8_over_bf16", "int8_min_cosine")]
    other = model.load(weights.tensors, device="cpu", projection=head)
    parties = {"int8": int8, other.precision: other}
    paces = await take_turns({name: _turn(party) for name, party in parties.items()}, setting.rounds)
    pace = {name: f"{statistics.median(values):.1f}" for name, values in paces.items()}
    on = f"bare loops, all cores, one image at a time: int8 {pace['int8']}, {other.precision} {pace[other.precision]}/s"
    step = max(1, len(setting.jpegs) / _MOST_PHOTOS)
    chosen = [setting.jpegs[int(number * step)] for number in range(min(len(setting.jpegs), _MOST_PHOTOS))]
    photos = [image.decode(data, limits=LIMITS)[1] for data in chosen]
    fp32 = _vectors(model.load(weights.tensors, device="cpu", precision="fp32", projection=head), photos)
    cosines = (fp32 * _vectors(int8, photos)).sum(axis=1)
    return [
        Figure("int8_over_bf16", ratio(paces, "int8", other.precision), on, least=1.4),
        Figure("int8_min_cosine", float(cosines.min()), f"to fp32, over {len(photos)} photos; {_CALIBRATED}"),
        Figure("int8_mean_cosine", float(cosines.mean()), "the same"),
    ]


def _turn(party: Model) -> Callable[[], Awaitable[float]]:
    async def turn() -> float:
        return bare_model.pace(party, 1, _SECONDS)

    return turn


def _vectors(party: Model, photos: Sequence[Pixels]) -> NDArray[np.float32]:
    return np.concatenate([party([photo]) for photo in photos])
