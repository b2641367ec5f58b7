"""Finding image files."""

import os
from pathlib import Path

import pytest

from lookalike.sources.folder import ProductFrom, image_files, item, matching


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()


def found_in(folder: Path) -> list[str]:
    failures: list[OSError] = []
    found = [os.path.relpath(path, folder) for path in image_files(folder, failures.append)]
    assert not failures
    return found


def test_folders_are_searched_for_images_and_hidden_ones_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.JPG", "a/1.png", "a/c/3.webp", "notes.txt", ".hidden/3.jpg", "b/.4.jpg", "5.gif")
    assert found_in(tmp_path) == ["5.gif", "a/1.png", "a/c/3.webp", "b/2.JPG"]


def test_links_to_files_are_followed_and_links_to_folders_are_not(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a/1.png")
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere.png")
    assert found_in(tmp_path) == ["link.png", "a/1.png"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    failures: list[OSError] = []
    assert list(image_files(tmp_path / "nowhere", failures.append)) == []
    assert [failure.filename for failure in failures] == [str(tmp_path / "nowhere")]


def test_a_pattern_finds_files_at_any_depth(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg", "a/b/2.jpg", "a/3.png")
    (tmp_path / "folder.jpg").mkdir()
    assert sorted(matching(f"{tmp_path}/**/*.jpg")) == [str(tmp_path / "1.jpg"), str(tmp_path / "a/b/2.jpg")]


@pytest.mark.parametrize(
    ("product_from", "product"),
    [(ProductFrom.NONE, ""), (ProductFrom.FOLDER, "shoes"), (ProductFrom.NAME, "red one")],
)
def test_the_uri_is_a_file_url_and_the_product_what_was_asked_for(product_from: ProductFrom, product: str) -> None:
    made = item("/shop/shoes/red one.jpg", product_from)
    assert made.uri == Path("/shop/shoes/red one.jpg").as_uri()
    assert (made.product, made.image) == (product, None)
