"""The demo: what a newcomer sees first."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.duration import LONG

BIN = Path(sys.executable).parent


def test_every_photo_finds_its_copies_and_a_person_can_see_it(photos: list[Path], tmp_path: Path) -> None:
    """Of the photos that are shipped in `make test-long`, else of some in a folder of one's own."""
    folder: list[Path] = []
    if not LONG:
        photos = photos[:4]
        folder = [tmp_path / "own"]
        folder[0].mkdir()
        for photo in photos:
            (folder[0] / photo.name).write_bytes(photo.read_bytes())
    command = [BIN / "lookalike", "demo", "--output", tmp_path, *folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(photos)} of {len(photos)} queries find all 6 copies before anything else." in done.stdout
    assert "ended cleanly" in done.stdout
    for kind in ("exact", "near-duplicate", "similar"):
        assert kind in done.stdout
    with Image.open(tmp_path / "contact-sheet.png") as sheet:
        assert sheet.width > 1000
        assert sheet.height > 100 * len(photos)


def test_a_folder_without_photos_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    command = [BIN / "lookalike", "demo", "--output", tmp_path / "out", tmp_path / "empty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there are no photos in" in done.stderr
