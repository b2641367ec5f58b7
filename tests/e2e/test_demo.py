"""The demo: what a newcomer sees first."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

BIN = Path(sys.executable).parent


def test_every_photo_finds_its_copies_and_a_person_can_see_it(photos: list[Path], tmp_path: Path) -> None:
    done = subprocess.run(
        [BIN / "lookalike", "demo", "--output", tmp_path], capture_output=True, text=True, check=False, timeout=170
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(photos)} of {len(photos)} queries find all 6 copies before anything else." in done.stdout
    assert "ended cleanly" in done.stdout
    for kind in ("exact", "near-duplicate", "similar"):
        assert kind in done.stdout
    with Image.open(tmp_path / "contact-sheet.png") as sheet:
        assert sheet.width > 1000
        assert sheet.height > 100 * len(photos)


def test_an_own_folder_works_and_one_without_photos_is_a_clear_error(photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    for photo in photos[:3]:
        (tmp_path / "own" / photo.name).write_bytes(photo.read_bytes())
    command: list[str | Path] = [BIN / "lookalike", "demo", "--output", tmp_path / "out"]
    done = subprocess.run([*command, tmp_path / "own"], capture_output=True, text=True, check=False, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 queries" in done.stdout
    (tmp_path / "empty").mkdir()
    done = subprocess.run([*command, tmp_path / "empty"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "there are no photos in" in done.stderr
