"""Finding image files."""

import os
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from lookalike.sources.folder import EXTENSIONS, ProductFrom, image_files, item, matching
from lookalike_serving.image_formats import FORMATS


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()


class Walk:
    """What is found below a folder, by relative path, and what else is told."""

    def __init__(self, folder: Path, pattern: str = "") -> None:
        failures: list[OSError] = []
        reasons: list[str] = []
        if pattern:
            paths = matching(f"{folder}/{pattern}", failures.append, reasons.append)
        else:
            paths = image_files(folder, failures.append, reasons.append)
        self.paths = [os.path.relpath(path, folder) for path in paths]
        self.failed = sorted(os.path.relpath(failure.filename, folder) for failure in failures)
        self.passed_over = Counter(reasons)


def test_a_files_extension_is_one_of_an_image_if_the_embedder_may_decode_it() -> None:
    """With its extra `heic`; a camera's MPO is a JPEG to it."""
    formats = {*FORMATS, "HEIF", "MPO"}
    decoded = {extension for extension, name in Image.registered_extensions().items() if name in formats}
    assert decoded <= EXTENSIONS
    assert EXTENSIONS - decoded <= {".heic", ".heics", ".heif", ".heifs", ".hif"}
    assert all(
        f"`{extension}`" in (Path(__file__).parents[2] / "docs/indexing.md").read_text() for extension in EXTENSIONS
    )


def test_folders_are_searched_for_images_and_what_is_passed_over_is_told(tmp_path: Path) -> None:
    touch(
        tmp_path, "b/2.JPG", "a/1.png", "a/c/3.webp", "notes.txt", ".hidden/3.jpg", "b/.4.jpg", "5.gif", "6.HEIC", "x"
    )
    os.mkfifo(tmp_path / "pipe.jpg")
    walk = Walk(tmp_path)
    assert walk.paths == ["5.gif", "6.HEIC", "a/1.png", "a/c/3.webp", "b/2.JPG"]
    assert walk.passed_over == {".txt": 1, "hidden": 2, "no extension": 1, "not a regular file": 1}
    assert not walk.failed


def test_links_to_files_are_followed_and_links_to_folders_are_not(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a/1.png")
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "again.png").symlink_to(tmp_path, target_is_directory=True)
    walk = Walk(tmp_path)
    assert walk.paths == ["link.png", "a/1.png"]
    assert walk.passed_over == {"link to a folder": 2}


@pytest.mark.parametrize("pattern", ["", "*.png"])
def test_a_file_that_cannot_be_looked_at_is_a_failure_and_the_others_are_found(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, "1.png", "9.png")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "share/nowhere.png")
    (tmp_path / "itself.png").symlink_to(tmp_path / "itself.png")
    walk = Walk(tmp_path, pattern)
    assert sorted(walk.paths) == ["1.png", "9.png"]
    assert walk.failed == ["itself.png", "nowhere.png"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    failures: list[OSError] = []
    assert list(image_files(tmp_path / "nowhere", failures.append)) == []
    assert [failure.filename for failure in failures] == [str(tmp_path / "nowhere")]


def test_a_pattern_finds_files_at_any_depth(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg", "a/b/2.jpg", "a/3.png")
    (tmp_path / "folder.jpg").mkdir()
    walk = Walk(tmp_path, "**/*.jpg")
    assert sorted(walk.paths) == ["1.jpg", "a/b/2.jpg"]
    assert not walk.passed_over
    assert Walk(tmp_path, "*").passed_over == {"folder": 2}


@pytest.mark.parametrize(
    ("product_from", "product"),
    [(ProductFrom.NONE, ""), (ProductFrom.FOLDER, "shoes"), (ProductFrom.NAME, "red one")],
)
def test_the_uri_is_a_file_url_and_the_product_what_was_asked_for(product_from: ProductFrom, product: str) -> None:
    made = item("/shop/shoes/red one.jpg", product_from)
    assert made.uri == Path("/shop/shoes/red one.jpg").as_uri()
    assert (made.product, made.image) == (product, None)
