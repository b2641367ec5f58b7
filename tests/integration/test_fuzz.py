"""Files that were good once: seeded mutations, each decoded or refused for a reason, in bounded memory."""

import contextlib
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lookalike_embedder import image
from lookalike_embedder.errors import InvalidImage
from lookalike_embedder.image import SIZE, Limits
from tests.duration import SECONDS
from tests.pictures import encoded

LIMITS = Limits(max_bytes=1 << 20, max_pixels=4_000_000)
REASONS = {"EMPTY_IMAGE", "IMAGE_TOO_LARGE", "UNSUPPORTED_FORMAT", "TOO_MANY_PIXELS", "CORRUPT_IMAGE"}
_HEADER = 64
"""Half of the mutations hit the beginning of a file, where sizes and kinds are."""
_MOST_GROWTH_KILOBYTES = 60_000
ROOT = Path(__file__).parents[2]


def good_files() -> list[bytes]:
    """One small file of each kind that decoders have code of their own for."""
    noise = Image.effect_noise((90, 70), 60)
    rgb = Image.merge("RGB", [noise, noise.rotate(90), noise.rotate(180)])
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray(np.arange(90 * 70, dtype=np.uint16).reshape(70, 90) * 10)
    return [
        encoded(rgb, "JPEG", exif=exif),
        encoded(rgb, "JPEG", progressive=True),
        encoded(rgb.convert("CMYK"), "JPEG"),
        encoded(rgb, "PNG"),
        encoded(rgb.quantize(16), "PNG", transparency=3),
        encoded(deep, "PNG"),
        encoded(rgb, "WEBP"),
        encoded(rgb.convert("RGBA"), "WEBP", lossless=True),
        encoded(rgb, "GIF", save_all=True, append_images=[rgb.rotate(180)]),
        encoded(rgb, "BMP"),
        encoded(rgb, "TIFF", compression="tiff_lzw"),
        encoded(deep, "TIFF"),
        encoded(rgb, "AVIF"),
    ]


GOOD = good_files()


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """One of the good files, changed in one to four places."""
    data = draw(st.sampled_from(GOOD))
    for _ in range(draw(st.integers(1, 4))):
        reach = draw(st.sampled_from([_HEADER, len(data)]))
        place = draw(st.integers(0, max(0, min(reach, len(data)) - 1)))
        some = draw(st.binary(min_size=1, max_size=4))
        kind = draw(st.sampled_from(["overwrite", "insert", "delete", "truncate", "repeat"]))
        before, after = data[:place], data[place:]
        data = {
            "overwrite": before + some + after[len(some) :],
            "insert": before + some + after,
            "delete": before + after[len(some) :],
            "truncate": before,
            "repeat": before + after[:200] + after,
        }[kind]
    return data


@settings(
    max_examples=round(200 * SECONDS),
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(mutations())
def test_every_mutation_is_decoded_or_refused_for_a_precise_reason(data: bytes) -> None:
    try:
        info, pixels = image.decode(data, limits=LIMITS)
    except InvalidImage as error:
        assert error.reason in REASONS  # noqa: PT017 - either outcome is right
        assert error.message.startswith("image: ")  # noqa: PT017
    else:
        assert info.format in image.FORMATS or info.format == "MPO"
        assert pixels.shape == (SIZE, SIZE, 3)
        assert info.width * info.height <= LIMITS.max_pixels


def test_the_good_files_are_good() -> None:
    for data in GOOD:
        image.decode(data, limits=LIMITS)


def growth_over_broken_files() -> int:
    """How many kibibytes more than after the good files this process has taken at its most after many broken ones."""
    for data in GOOD:
        image.decode(data, limits=LIMITS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for place in range(round(100 * SECONDS)):
        for data in GOOD[:4]:
            broken = bytearray(data)
            broken[place % len(data)] ^= 0xFF
            with contextlib.suppress(InvalidImage):
                image.decode(bytes(broken), limits=LIMITS)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before


def test_memory_stays_bounded_over_broken_files() -> None:
    """In a process of its own, as others' peaks would hide what these take."""
    program = f"from {__name__} import growth_over_broken_files; print(growth_over_broken_files())"
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(said.stdout) < _MOST_GROWTH_KILOBYTES
