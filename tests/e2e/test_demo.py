"""The demo: what a newcomer sees first."""

import asyncio
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

from PIL import Image

from tests.duration import LONG

BIN = Path(sys.executable).parent


def own(photos: list[Path], folder: Path) -> Path:
    """A folder of one's own with these photos."""
    folder.mkdir()
    for photo in photos:
        (folder / photo.name).write_bytes(photo.read_bytes())
    return folder


async def test_every_photo_finds_its_copies_and_a_person_can_see_it(photos: list[Path], tmp_path: Path) -> None:
    """Of the photos that are shipped in `make test-long`, else of two in a folder of one's own; then on the page."""
    photos = photos if LONG else photos[:2]
    folder = [] if LONG else [own(photos, tmp_path / "own")]
    process = await asyncio.create_subprocess_exec(
        *(BIN / "lookalike", "demo", *folder, "--web", "--output", tmp_path / "out"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    said = ""
    while not (found := re.search(r"^web +(http://\S+)", said, re.MULTILINE)):
        said += (line := (await process.stdout.readline()).decode())
        assert line, f"the demo has ended: {said}"
    assert f"{len(photos)} of {len(photos)} queries find all 6 copies before anything else." in said
    for kind in ("exact", "near-duplicate", "similar"):
        assert kind in said
    stolen = tmp_path / "out" / "copies.html"
    assert re.search(
        rf"^proof +stolen\.jpg is {photos[0].stem} \(\d+% sure\): mirrored, .*; {stolen} ", said, re.MULTILINE
    )
    assert "data:image/webp;base64," in stolen.read_text()
    with Image.open(tmp_path / "out" / "contact-sheet.png") as sheet:
        assert sheet.width > 1000
        assert sheet.height > 100 * len(photos)

    def read(path: str) -> bytes:
        with urllib.request.urlopen(found[1] + path) as answer:  # noqa: S310 - our own
            return bytes(answer.read())

    page = json.loads(await asyncio.to_thread(read, "/v1/projects/demo/images"))
    assert LONG or len(page["images"]) == 7 * len(photos)
    for image in page["images"]:
        assert (await asyncio.to_thread(read, image["thumbnailUrl"])).startswith(b"\xff\xd8")
    assert b"Drop a photo here" in await asyncio.to_thread(read, "/")
    process.terminate()
    rest = (await process.stdout.read()).decode()
    assert await process.wait() == 0
    assert "ended cleanly" in rest


def test_a_folder_without_photos_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    command = [BIN / "lookalike", "demo", "--output", tmp_path / "out", tmp_path / "empty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there are no photos in" in done.stderr
