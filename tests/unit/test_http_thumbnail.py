"""Thumbnails: of every format, upright, small, on white, and of nothing that is no photo or too large."""

import asyncio
import hashlib
import io
import os
import socket
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import records
from lookalike_embedder.image import SIZE, Limits, decode
from lookalike_gateway import thumbnail
from lookalike_gateway.thumbnail import Thumbnails
from lookalike_serving.image_formats import FORMATS
from tests.pictures import encoded


def indexed(data: bytes, *uris: str) -> records.Image:
    references = tuple(records.Reference(uri, "", "", False, {}) for uri in uris)
    return records.Image(hashlib.sha256(data).hexdigest(), 0, 0, datetime.now(UTC), references, len(references))


def shown(data: bytes, folder: Path, size: int = 160) -> Image.Image:
    """The thumbnail of a file with these bytes."""
    file = folder / "a photo #1.bin"
    file.write_bytes(data)
    made = asyncio.run(Thumbnails([folder]).make(indexed(data, "https://shop/a", file.as_uri()), size))
    assert made, "there is none"
    return Image.open(io.BytesIO(made))


def unshown(data: bytes, folder: Path) -> bool:
    """Whether there is no thumbnail of a file with these bytes."""
    file = folder / "unshown.bin"
    file.write_bytes(data)
    return asyncio.run(Thumbnails([folder]).make(indexed(data, file.as_uri()), 160)) is None


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_each_format_is_shown_as_a_small_jpeg(name: str, tmp_path: Path) -> None:
    made = shown(encoded(Image.new("RGB", (800, 400), "red"), name), tmp_path)
    assert (made.format, made.size) == ("JPEG", (160, 80))
    red, green, blue = made.getpixel((80, 40))  # type: ignore[misc]
    assert (red > 240, green < 15, blue < 15) == (True, True, True)


def test_what_is_clear_is_white_unless_the_picture_is_and_what_lies_on_its_side_is_put_upright(tmp_path: Path) -> None:
    assert min(shown(encoded(Image.new("RGBA", (90, 90), (0, 0, 0, 0)), "PNG"), tmp_path).getpixel((9, 9))) > 250
    logo = Image.new("RGBA", (90, 90))
    logo.paste("white", (30, 30, 60, 60))
    made = shown(encoded(logo, "PNG"), tmp_path)
    assert [made.getpixel(place) for place in ((9, 9), (45, 45))] == [(128, 128, 128), (255, 255, 255)]
    exif = Image.Exif()
    exif[0x0112] = 6
    assert shown(encoded(Image.new("RGB", (800, 400)), "JPEG", exif=exif), tmp_path).size == (80, 160)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "I;16"])
def test_any_mode_is_shown(mode: str, tmp_path: Path) -> None:
    assert shown(encoded(Image.new(mode, (300, 300)), "TIFF"), tmp_path).mode == "RGB"


def test_a_deep_picture_is_as_bright_as_the_embedder_sees_it(tmp_path: Path) -> None:
    ramp = Image.fromarray(np.linspace(0, 65535, 300 * 300, dtype=np.uint16).reshape(300, 300))
    data = encoded(ramp, "PNG")
    made = np.asarray(shown(data, tmp_path).convert("L").resize((SIZE, SIZE)), float)
    seen = decode(data, limits=Limits(1 << 20, 1 << 20))[1][..., 0]
    assert np.abs(made - seen).mean() < 3
    assert (made.min() < 5, made.max() > 250) == (True, True)


def test_what_the_embedder_reads_has_a_thumbnail() -> None:
    """HEIF too, where its extra is installed: no library here writes one."""
    assert set(thumbnail._FORMATS) == set(FORMATS) & set(Image.OPEN)
    assert ("HEIF" in thumbnail._FORMATS) is (find_spec("pi_heif") is not None)


def test_a_jpeg_without_its_last_marker_is_shown_and_one_without_rows_is_not(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (300, 300, 3), np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG")
    assert shown(data[:-2], tmp_path).tobytes() == shown(data, tmp_path).tobytes()
    for cut in (data[: len(data) // 2], data[: len(data) // 2] + bytes(99_999)):
        assert unshown(cut, tmp_path)


def test_what_is_no_photo_or_has_too_many_pixels_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnail, "_MAX_PIXELS", 10_000)
    for data in (b"<svg/>", b"", encoded(Image.new("RGB", (101, 100)), "PNG")):
        assert unshown(data, tmp_path)
    assert shown(encoded(Image.new("RGB", (100, 100)), "PNG"), tmp_path).size == (100, 100)


def test_a_large_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.new("RGB", (100, 100)), "BMP")
    monkeypatch.setattr(thumbnail, "_MAX_BYTES", len(data) - 1)
    assert unshown(data, tmp_path)


@pytest.mark.parametrize(
    ("uri", "likely"),
    [
        ("file:///photos/a.jpg", True),
        ("file://localhost/photos/a.jpg", True),
        ("file:///photos/%61.jpg", True),
        ("file:///photos/../etc/passwd", False),
        ("file:///photos/%2e%2e/etc/passwd", False),
        ("file:///photosbeside/a.jpg", False),
        ("file://elsewhere/photos/a.jpg", False),
        ("file:///photos/a%00.jpg", False),
        ("file:photos/a.jpg", False),
        ("/photos/a.jpg", False),
        ("https://shop/photos/a.jpg", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_only_local_files_below_a_root_may_have_one(uri: str, likely: bool) -> None:
    assert Thumbnails([Path("/photos")]).likely(uri) is likely
    assert not Thumbnails([]).likely(uri)


def test_a_root_may_be_a_link(tmp_path: Path) -> None:
    data = encoded(Image.new("RGB", (300, 300)), "PNG")
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").write_bytes(data)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    made = Thumbnails([tmp_path / "link"])
    for folder in ("link", "real"):
        image = indexed(data, (tmp_path / folder / "a.png").as_uri())
        assert (asyncio.run(made.make(image, 160)) or b"").startswith(b"\xff\xd8")


def refused(roots: Path, data: bytes, *paths: Path) -> bool:
    """Whether none of these files, all said to be this image, is shown."""
    image = indexed(data, *(f"file://{path}" for path in paths))
    return asyncio.run(Thumbnails([roots]).make(image, 160)) is None


def test_no_link_leads_out_of_the_root(tmp_path: Path) -> None:
    data = encoded(Image.new("RGB", (300, 300)), "PNG")
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "real").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.png").write_bytes(data)
    (root / "file").symlink_to(outside / "secret.png")
    (root / "folder").symlink_to(outside)
    (root / "chain").symlink_to("real/../folder")
    (root / "round").symlink_to("round")
    (root / "beside").symlink_to("../outside/secret.png")
    wrong = [
        root / "file",
        root / "folder" / "secret.png",
        root / "chain" / "secret.png",
        root / "round",
        root / "beside",
        root / "real" / ".." / ".." / "outside" / "secret.png",
        root / "%2e%2e" / "outside" / "secret.png",
        outside / "secret.png",
        Path("/proc/self/root") / (outside / "secret.png").relative_to("/"),
    ]
    for path in wrong:
        assert refused(root, data, path), path
    (root / "real" / "a.png").write_bytes(data)
    (root / "within").symlink_to("real")
    assert not refused(root, data, root / "within" / "a.png")
    assert not refused(root, data, *wrong, root / "real" / "a.png")


def test_what_is_no_file_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the other end of a pipe, and no device is asked to do anything."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(tmp_path)
        listening.bind("socket")
        opened: list[object] = []
        really = os.open

        def noting(path: str | Path, flags: int, **more: int | None) -> int:
            if not flags & os.O_DIRECTORY:
                opened.append(path)
            return really(path, flags, **more)

        monkeypatch.setattr(os, "open", noting)
        for name in ("pipe", "zeros", "folder", "socket"):
            assert refused(tmp_path, b"", tmp_path / name)
    assert opened == []


@pytest.mark.parametrize("swapped", ["folder", "file"])
def test_what_becomes_a_link_after_it_was_looked_at_is_not_followed(
    swapped: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(Image.new("RGB", (300, 300)), "PNG")
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "folder", outside):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(data)
    really = thumbnail._read

    def late(below: Path, path: Path) -> bytes:
        looked_at = root / "folder" if swapped == "folder" else root / "folder" / "file"
        looked_at.rename(tmp_path / "before")
        looked_at.symlink_to(outside if swapped == "folder" else outside / "file")
        return really(below, path)

    assert not refused(root, data, root / "folder" / "file")
    monkeypatch.setattr(thumbnail, "_read", late)
    assert refused(root, data, root / "folder" / "file")
