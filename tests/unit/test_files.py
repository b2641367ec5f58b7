"""Finding image files."""

from pathlib import Path

import pytest

from lookalike.files import ProductFrom, image_files, item


def test_folders_are_searched_for_images_in_order_and_hidden_ones_are_left_out(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "a/1.png", "notes.txt", ".hidden/3.jpg", "b/.4.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert list(image_files([tmp_path])) == [tmp_path / "a/1.png", tmp_path / "b/2.JPG"]


def test_a_file_that_is_named_is_taken_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "photo").touch()
    assert list(image_files([tmp_path / "photo"])) == [tmp_path / "photo"]


def test_a_source_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        list(image_files([tmp_path / "nowhere"]))


@pytest.mark.parametrize(
    ("product_from", "product"),
    [(ProductFrom.NONE, ""), (ProductFrom.FOLDER, "shoes"), (ProductFrom.NAME, "red one")],
)
def test_the_uri_is_a_file_url_and_the_product_what_was_asked_for(product_from: ProductFrom, product: str) -> None:
    made = item(Path("/shop/shoes/red one.jpg"), product_from)
    assert made.uri == "file:///shop/shoes/red%20one.jpg"
    assert made.product == product
