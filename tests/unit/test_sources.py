"""What a command line can name as sources."""

import io
from pathlib import Path

import fsspec
import pytest

import lookalike.sources
from lookalike import InvalidRequestError
from lookalike.sources import Format, ProductFrom, Sources


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("photos/a/1.jpg", "photos/b/2.png", "photos/notes", "photos/odd[1]/3.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def uris(folder: Path, *names: str, **options: object) -> list[str]:
    """The items' URIs, those of the folder without it."""
    return [item.uri.removeprefix(f"file://{folder}/") for item in Sources(names, **options).items()]


def test_folders_globs_files_manifests_and_urls_come_one_after_the_other(folder: Path) -> None:
    (folder / "list.csv").write_text("uri\nhttps://shop/4.jpg\nphotos/a/1.jpg\n")
    names = [folder / "photos/b", folder / "photos/**/*.jpg", folder / "photos/notes", folder / "list.csv"]
    found = uris(folder, *map(str, names), "https://shop/5.jpg", (folder / "photos/a/1.jpg").as_uri())
    assert found[0] == "photos/b/2.png"
    assert sorted(found[1:3]) == ["photos/a/1.jpg", "photos/odd%5B1%5D/3.jpg"]
    assert found[3:] == [
        *("photos/notes", "https://shop/4.jpg", "photos/a/1.jpg"),
        *("https://shop/5.jpg", "photos/a/1.jpg"),
    ]


def test_a_name_that_looks_like_a_pattern_may_be_a_folder(folder: Path) -> None:
    assert uris(folder, str(folder / "photos/odd[1]")) == ["photos/odd%5B1%5D/3.jpg"]


def test_a_format_that_is_named_counts_more_than_the_files_name(folder: Path) -> None:
    (folder / "list").write_text("photos/a/1.jpg\n")
    assert uris(folder, str(folder / "list"), form=Format.LINES) == ["photos/a/1.jpg"]
    assert uris(folder, str(folder / "list")) == ["list"]


@pytest.mark.parametrize(
    ("product_from", "product"), [(ProductFrom.NONE, ""), (ProductFrom.FOLDER, "a"), (ProductFrom.NAME, "1")]
)
def test_products_of_files_are_called_after_what_is_said(folder: Path, product_from: ProductFrom, product: str) -> None:
    [item] = Sources([str(folder / "photos/a")], product_from=product_from).items()
    assert item.product == product


def test_standard_input_is_a_manifest_and_can_be_read_once(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.chdir(folder)
    rows = b"uri,product\nphotos/a/1.jpg,hat\nhttps://shop/2.jpg,bag\n"
    monkeypatch.setattr(lookalike.sources, "_standard_input", lambda: io.BytesIO(rows))
    sources = Sources(["-"])
    assert not sources.is_repeatable()
    assert [(item.uri.removeprefix(f"file://{folder}/"), item.product) for item in sources.items()] == [
        ("photos/a/1.jpg", "hat"),
        ("https://shop/2.jpg", "bag"),
    ]


def test_standard_input_that_is_no_text_is_no_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookalike.sources, "_standard_input", lambda: io.BytesIO(b"\xff\xfe\x00"))
    with pytest.raises(InvalidRequestError, match="standard input: is not a valid manifest"):
        list(Sources(["-"]).items())


@pytest.mark.parametrize("name", ["nowhere", "file:///nowhere/1.jpg"])
def test_what_does_not_exist_is_told_at_once(folder: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Sources([str(folder / "photos"), name]).check()
    Sources([str(folder / "nothing-*.jpg"), "https://shop/1.jpg", "-"]).check()


def test_failures_to_list_are_kept_beside_the_items(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "list.jsonl").write_text('{"uri": "https://shop/1.jpg"}\n{"uri": 1}\n')
    sources = Sources([str(folder / "list.jsonl")])
    assert [item.uri for item in sources.items()] == ["https://shop/1.jpg"]
    [failure] = sources.findings.failures
    assert failure.uri == f"{folder}/list.jsonl:2"
    assert failure.error
    assert failure.error.reason == "INVALID_ROW"


def test_a_store_is_listed_by_prefix_and_by_pattern() -> None:
    store = fsspec.filesystem("memory")
    for name in ("1.jpg", "deep/2.PNG", "deep/notes.txt"):
        store.pipe(f"/sources/{name}", b"x")
    store.pipe("/sources/list.csv", b"\xef\xbb\xbfuri\n1.jpg\nhttps://shop/3.jpg\n")
    try:
        prefix = "memory://sources/"
        below = Sources([prefix])
        assert [item.uri for item in below.items()] == ["memory:///sources/1.jpg", "memory:///sources/deep/2.PNG"]
        assert below.findings.passed_over == {".txt": 1, ".csv": 1}
        assert [item.uri for item in Sources([f"{prefix}deep/*.txt"]).items()] == ["memory:///sources/deep/notes.txt"]
        assert [item.uri for item in Sources([f"{prefix}list.csv"]).items()] == [
            "memory://sources/1.jpg",
            "https://shop/3.jpg",
        ]
        with pytest.raises(InvalidRequestError, match="cannot be read"):
            list(Sources([f"{prefix}nowhere.csv"]).items())
        with pytest.raises(InvalidRequestError, match="nothing-of-the-kind"):
            list(Sources(["nothing-of-the-kind://shop/"]).items())
    finally:
        store.rm("/sources", recursive=True)
