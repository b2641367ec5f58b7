"""What arguments name is found where `index` finds it, under the URIs that `index` stores."""

from pathlib import Path

import pytest

from lookalike.cli.arguments import local_uri, read_photo, stored_uri
from lookalike.cli.filter import filter_of
from lookalike.errors import UnreadableImageError
from lookalike.sources import Sources


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two photos, which is also reached by a link."""
    photos = tmp_path / "my photos"
    photos.mkdir()
    for name in ("a.jpg", "b#1.jpg"):
        (photos / name).write_bytes(name.encode())
    (tmp_path / "link").symlink_to(photos)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(photos))
    return photos


@pytest.mark.parametrize(
    "name",
    ["my photos/a.jpg", "./my photos/a.jpg", "link/a.jpg", "link/../my photos//a.jpg", "~/a.jpg", "{}/a.jpg"],
)
def test_a_path_is_the_uri_that_index_stores(name: str, folder: Path) -> None:
    [stored] = [item.uri for item in Sources([str(folder)]).items() if item.uri.endswith("a.jpg")]
    assert stored_uri(name.format(folder)) == local_uri(name.format(folder)) == stored


@pytest.mark.parametrize("name", ["my photos/", "link/", "./link/", "{}/"])
def test_a_folder_begins_the_uris_of_its_photos_alone(name: str, folder: Path) -> None:
    (folder.parent / "my photos 2").mkdir()
    (folder.parent / "my photos 2" / "c.jpg").touch()
    chosen = filter_of(None, None, None, name.format(folder), None)
    assert chosen
    stored = [item.uri for item in Sources([str(folder.parent)]).items()]
    found = [uri for uri in stored if uri.startswith(chosen.uri_prefix)]
    assert [uri.rpartition("/")[2] for uri in found] == ["a.jpg", "b%231.jpg"]


@pytest.mark.parametrize("text", ["https://shop/a b.jpg", "s3://shop/a.jpg", "file:///my%20photos/a.jpg", "sku-1", ""])
def test_other_text_stays_as_it_is(text: str, folder: Path) -> None:
    assert stored_uri(text) == text
    assert local_uri(text) == (text if text != "sku-1" else f"file://{folder.parent}/sku-1")


async def test_a_photo_is_read_from_a_path_or_a_uri(folder: Path) -> None:
    assert await read_photo("link/b#1.jpg", 5) == b"b#1.jpg"
    assert await read_photo((folder / "b#1.jpg").as_uri(), 5) == b"b#1.jpg"
    with pytest.raises(UnreadableImageError, match=r"^http://localhost:1/a//b\.jpg: "):
        await read_photo("http://localhost:1/a//b.jpg", 5)
    with pytest.raises(UnreadableImageError, match=r"^cannot read gone\.jpg: No such file"):
        await read_photo("gone.jpg", 5)
