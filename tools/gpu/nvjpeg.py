"""Compare JPEGs decoded by the GPU with Pillow's: which files it takes, how close it is, and where it is faster."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import numpy as np
from PIL import Image

from lookalike_embedder import batch_size, image
from lookalike_embedder.errors import InvalidImage
from lookalike_embedder.model import GpuJpegs
from lookalike_embedder.processor import CORES
from tools.gpu import photos
from tools.gpu.correctness import cosines
from tools.gpu.record import Record
from tools.gpu.setting import Setting

_MIN_COSINE: Final = 0.998
_SIZES: Final = ((800, 600), (2000, 1500), (4000, 3000))


def run(setting: Setting, record: Record) -> None:
    """Compare the kinds of files first; then measure the speed, by size."""
    model = setting.model()
    jpegs = GpuJpegs(0, setting.device)
    photo = photos.picture(7, (320, 240) if setting.short else (1600, 1200))
    kinds = dict(_kinds(photo))
    for name, data in list(kinds.items())[: 3 if setting.short else None]:
        _compare(name, data, setting, jpegs, model, record)
    whole = kinds["baseline 4:2:0"]
    for name, data in (("cut off", whole[: len(whole) // 2]), ("noise in its middle", _spoilt(whole))):
        _broken(name, data, setting, jpegs, record)
    for width, height in _SIZES[: 1 if setting.short else None]:
        _speed(photos.jpeg(photos.picture(9, (width, height)), quality=90), (width, height), setting, jpegs, record)


def _kinds(photo: Image.Image) -> Iterator[tuple[str, bytes]]:
    """Yield one photo as each kind of JPEG, with the kind's name."""
    for number, name in enumerate(("4:4:4", "4:2:2", "4:2:0")):
        yield f"baseline {name}", photos.jpeg(photo, subsampling=number)
    yield "progressive", photos.jpeg(photo, progressive=True)
    yield "grey", photos.jpeg(photo.convert("L"))
    yield "RGB, not YCbCr", photos.jpeg(photo, keep_rgb=True)
    yield "CMYK", photos.jpeg(photo.convert("CMYK"))
    yield "restart markers", photos.jpeg(photo, restart_marker_rows=1)
    yield "optimised, quality 30", photos.jpeg(photo, optimize=True, quality=30)
    yield "odd size", photos.jpeg(photo.crop((0, 0, photo.width - 3, photo.height - 5)))
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "to be turned", photos.jpeg(photo, exif=exif.tobytes())


def _compare(name: str, data: bytes, setting: Setting, jpegs: GpuJpegs, model: Any, record: Record) -> None:  # noqa: ANN401
    """Check that the embedder computes the same vector with this decoder."""
    with Image.open(io.BytesIO(data)) as opened:
        takes = opened.mode in ("RGB", "L") and jpegs(data) is not None
    ours = image.decode(data, limits=setting.limits, jpegs=jpegs)[1]
    pillows = image.decode(data, limits=setting.limits)[1]
    cosine = float(cosines(model([ours]), model([pillows]))[0])
    apart = float(np.abs(ours.astype(int) - pillows).mean())
    on = f"{'the GPU decodes it' if takes else 'left to Pillow'}; {apart:.2f} of 255 apart on average"
    record.figure(f"nvjpeg {name}", cosine, on, least=_MIN_COSINE)


def _broken(name: str, data: bytes, setting: Setting, jpegs: GpuJpegs, record: Record) -> None:
    """Check that a broken file is refused if and only if Pillow refuses it."""

    def refused(decoder: GpuJpegs | None) -> bool:
        try:
            image.decode(data, limits=setting.limits, jpegs=decoder)
        except InvalidImage:
            return True
        return False

    same = refused(jpegs) == refused(None)
    record.figure(
        f"nvjpeg {name}", same, "refused just where Pillow refuses it", least=1 if name == "cut off" else None
    )


def _spoilt(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(number * 37 % 251 for number in range(64)) + data[middle + 64 :]


def _speed(data: bytes, size: tuple[int, int], setting: Setting, jpegs: GpuJpegs, record: Record) -> None:
    """Measure both decoders on as many threads as there are cores, as in the embedder."""
    ways = {"cpu": partial(image.decode, data, limits=setting.limits), "gpu": partial(jpegs, data)}
    with ThreadPoolExecutor(CORES) as pool:
        for name, decode in ways.items():
            rate = batch_size.measure(lambda decode=decode: list(pool.map(lambda _: decode(), range(CORES))), CORES)  # type: ignore[misc]
            on = f"files/s of {len(data) / 1e3:.0f} kB, {CORES} threads"
            record.figure(f"decode_{size[0]}x{size[1]}_{name}", rate, on)
