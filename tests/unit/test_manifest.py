"""Manifests, in each of their formats."""

import csv
import io
import json
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from lookalike import InvalidRequestError, Item, Outcome, Status
from lookalike.cli.report import Report
from lookalike.errors import UnreadableImageError
from lookalike.sources import Findings, Format
from lookalike.sources.manifest import Options, binary_items, file_items, format_of

ROWS = [
    {"uri": "https://shop/1.jpg", "product": "hat", "variant": "red", "staged": "yes", "colour": "red", "_note": "x"},
    {"uri": "s3://shop/2.jpg", "product": "", "variant": "", "staged": "", "colour": "", "_note": ""},
    {"uri": "file:///3.jpg", "product": "bag", "variant": "", "staged": "0", "colour": "blue,\ndark", "_note": ""},
]
ITEMS = [
    Item(None, "https://shop/1.jpg", "hat", "red", staged=True, labels={"colour": "red"}),
    Item(None, "s3://shop/2.jpg"),
    Item(None, "file:///3.jpg", "bag", labels={"colour": "blue,\ndark"}),
]


def read(
    text: str | bytes, form: Format = Format.AUTO, base: str = "/base", **options: object
) -> tuple[list[Item], list[str]]:
    """The items, and what is told of rows that are none, and of what is left out."""
    findings = Findings()
    data = text.encode() if isinstance(text, str) else text
    items = list(binary_items(io.BytesIO(data), "list", base, Options(form, **options), findings))
    return items, [*(str(failure.error) for failure in findings.failures), *(note.message for note in findings.notes)]


def read_file(path: Path, form: Format | None = None) -> list[Item]:
    """The items of a file, all of whose rows are items."""
    findings = Findings()
    found = form or format_of(str(path))
    assert found
    items = list(file_items(str(path), Options(found), findings))
    assert not findings.failures
    return items


def uris(text: str, form: Format = Format.AUTO) -> list[str]:
    items, told = read(text, form)
    assert not told
    return [item.uri for item in items]


def write(path: Path) -> Path:
    """The rows, in the format of the path's name."""
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            rows = csv.DictWriter(file, ROWS[0])
            rows.writeheader()
            rows.writerows(ROWS)
    elif path.suffix == ".jsonl":
        path.write_text("\n\n".join(map(json.dumps, ROWS)))
    else:
        parquet.write_table(pa.Table.from_pylist(ROWS), path)
    return path


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl", "m.parquet"])
def test_each_format_says_the_same(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    assert read_file(path) == ITEMS


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *(("a.CSV", Format.CSV), ("a.ndjson", Format.JSONL), ("a.pq", Format.PARQUET), ("a.txt", Format.AUTO)),
        *(("a.tsv", Format.CSV), ("a.json", Format.JSON), ("a.csv.gz", Format.CSV), ("a.GZ", Format.AUTO)),
        *(("a", None), ("a#b.csv", Format.CSV), ("s3://shop/a#b.csv", Format.CSV)),
        *(("https://shop/a.csv?X-Signature=x.jpg", Format.CSV), ("https://shop/a.jpg?list=a.csv", None)),
    ],
)
def test_a_files_name_says_its_format(name: str, form: Format | None) -> None:
    assert format_of(name) is form


@pytest.mark.parametrize(
    "text",
    [
        "uri\nhttps://shop/1.jpg\n",
        "product,uri\r\nhat,https://shop/1.jpg\r\n",
        '"product",uri\nhat,https://shop/1.jpg',
        '{"uri": "https://shop/1.jpg"}\n',
        ' {"product": "hat", "uri": "https://shop/1.jpg"}',
        "https://shop/1.jpg",
        "\nhttps://shop/1.jpg\n\n",
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_first_line_says_the_format_of_what_has_no_name(text: str, mark: str) -> None:
    """Also where it begins with a byte order mark, as what spreadsheets write does."""
    assert uris(mark + text) == ["https://shop/1.jpg"]


@pytest.mark.parametrize("text", ["", "\n", "uri,product\n"])
def test_an_empty_manifest_has_no_items(text: str) -> None:
    assert read(text) == ([], [])


def test_relative_uris_are_files_beside_the_manifest(tmp_path: Path) -> None:
    """And whichever way a file is named, it has one URI."""
    (tmp_path / "m.txt").write_text("a b/1.jpg\n./2.jpg\na/../3.jpg\n/4.jpg\n")
    found = [item.uri for item in read_file(tmp_path / "m.txt")]
    assert found == [f"file://{tmp_path}/{name}" for name in ("a%20b/1.jpg", "2.jpg", "3.jpg")] + ["file:///4.jpg"]


def test_relative_uris_of_a_manifest_in_a_store_are_beside_it() -> None:
    items, _ = read("1.jpg\n./2.jpg\nhttps://shop/3.jpg\n", Format.LINES, "s3://shop/lists")
    assert [item.uri for item in items] == ["s3://shop/lists/1.jpg", "s3://shop/lists/2.jpg", "https://shop/3.jpg"]


def test_relative_uris_of_a_manifest_on_the_web_are_joined_to_its_url() -> None:
    items, _ = read(
        "uri\n1.jpg\n/ok/2.jpg\n../3.jpg?w=5\n32 b#1.jpg\nhttps://other/%2F~\n",
        base="https://shop/lists/a.csv?X-Signature=%2B",
    )
    assert [item.uri for item in items] == [
        "https://shop/lists/1.jpg",
        "https://shop/ok/2.jpg",
        "https://shop/3.jpg?w=5",
        "https://shop/lists/32 b%231.jpg",
        "https://other/%2F~",
    ]


def test_a_path_says_where_the_image_is_and_the_uri_stays_as_it_is() -> None:
    items, _ = read("uri,path\nsku 1,a/1.jpg\nhttps://shop/2.jpg,https://cdn/2.jpg?signature=%2B\n3.jpg,\n")
    assert [(item.uri, item.path) for item in items[:2]] == [
        ("sku 1", "file:///base/a/1.jpg"),
        ("https://shop/2.jpg", "https://cdn/2.jpg?signature=%2B"),
    ]
    assert (items[2].uri, items[2].path) == ("file:///base/3.jpg", "")
    assert [item.uri for item in read("path,label\na.jpg,red\n")[0]] == ["file:///base/a.jpg"]


def test_a_column_without_a_name_is_left_out() -> None:
    """Such as the index that pandas writes."""
    items, told = read(",uri,size\n0,https://shop/1.jpg,7\n")
    assert (items, told) == ([Item(None, "https://shop/1.jpg", labels={"size": "7"})], [])


def test_rows_that_are_none_are_told_with_their_lines_and_the_others_are_taken() -> None:
    items, told = read('uri,staged\n1.jpg,maybe\n,\n"2\n.jpg",no\n3.jpg,no,more\n4.jpg\n', Format.CSV)
    assert [item.uri for item in items] == ["file:///base/2%0A.jpg", "file:///base/4.jpg"]
    assert [line.partition(": ")[0] for line in told] == ["list:2", "list:3", "list:6", "list:7"]
    assert "staged: must be true or false, got 'maybe'" in told[0]
    assert "uri: must be text, got ''" in told[1]
    assert "more fields than the header: 3 of 2" in told[2]
    assert "1 fields less than the header" in told[3], "the row is taken, and this is said of it"


def test_lines_of_json_that_are_none_likewise() -> None:
    lines = ['{"uri": "1.jpg"}', "{", "[]", '{"uri": 7}', '{"uri": "2.jpg", "tags": ["a"]}', '{"product": "hat"}']
    items, told = read("\n".join(lines), Format.JSONL)
    assert [item.uri for item in items] == ["file:///base/1.jpg", "file:///base/2.jpg"]
    assert [line.partition(": ")[0] for line in told] == [f"list:{number}" for number in (2, 3, 4, 6, 5)]
    assert "label 'tags': must be text or a number" in told[-1], "the image is taken without it"
    assert read("{\n" + lines[0], Format.JSONL)[0] == items[:1], "the first line may be wrong, too"


def test_values_of_any_kind_are_text() -> None:
    row = {"uri": "https://a", "product": 7, "variant": None, "staged": True, "size": 1.5, "new": False, "none": None}
    assert read(json.dumps(row)) == (
        [Item(None, "https://a", "7", "", staged=True, labels={"size": "1.5", "new": "false"})],
        [],
    )


@pytest.mark.parametrize(
    ("value", "staged"),
    [("true", True), ("1", True), ("1.0", True), (" Yes", True), ("FALSE", False), ("no", False), ("", False)],
)
def test_ways_to_say_whether_it_is_staged(value: str, staged: bool) -> None:
    [item] = read(f"uri,staged\nhttps://a,{value}\n")[0]
    assert item.staged is staged


@pytest.mark.parametrize(("form", "text"), [(Format.CSV, "url,product\na,b\n"), (Format.JSONL, '{"url": "a"}')])
def test_a_manifest_without_the_column_is_none_and_says_what_it_has(form: Format, text: str) -> None:
    with pytest.raises(InvalidRequestError, match="no column `uri`; its columns are url") as caught:
        read(text, form)
    assert caught.value.reason == "INVALID_MANIFEST"


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl", "m.txt", "m.parquet"])
def test_what_is_no_text_is_no_manifest(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF" * 100)
    with pytest.raises(InvalidRequestError, match="is not a valid manifest"):
        read_file(path)


def test_a_parquet_file_without_the_column_is_none(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    parquet.write_table(pa.table({"url": ["a"]}), path)
    with pytest.raises(InvalidRequestError, match="no column `uri`; its columns are url"):
        read_file(path)


def failed(report: Report, *uris: str) -> None:
    for uri in uris:
        report.add(Outcome(uri, Status.FAILED, UnreadableImageError("away", reason="HTTP_404"), Item(None, uri)))


def listed(path: Path) -> list[str]:
    return [item.uri for item in read_file(path)]


def test_a_list_of_failures_that_is_fed_back_in_is_kept_until_the_run_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "failures.jsonl"
    with Report(path) as report:
        failed(report, "s3://1", "s3://2", "s3://3")
        assert not path.exists()
    with suppress(KeyboardInterrupt), Report(path) as report:
        failed(report, "s3://1")
        raise KeyboardInterrupt
    assert set(listed(path)) == {"s3://1", "s3://2", "s3://3"}
    with Report(path) as report:
        failed(report, "s3://3")
        assert "s3://1" in listed(path), "nothing is lost if we are killed now"
    assert listed(path) == ["s3://3"]
    with suppress(KeyboardInterrupt), Report(path) as report:
        report.add(Outcome("s3://3", Status.INDEXED))
        raise KeyboardInterrupt
    assert listed(path) == ["s3://3"]
    with Report(path) as report:
        report.add(Outcome("s3://3", Status.INDEXED))
    assert [*tmp_path.iterdir()] == []


def test_failures_are_a_manifest_of_the_same_items(tmp_path: Path) -> None:
    """With everything that they had; why they failed is left out."""
    odd = Item(None, "https://shop/\ud83d.jpg", path="https://cdn/1.jpg?signature=1")
    items = [*ITEMS, Item(None, "https://shop/é.jpg", labels={"uri": "x", "product": "y"}), odd]
    with Report(tmp_path / "failures.jsonl") as report:
        for item in items:
            error = UnreadableImageError("away", reason="HTTP_404")
            report.add(Outcome(item.uri, Status.FAILED, error, item))
    found = read_file(tmp_path / "failures.jsonl")
    assert found[:3] == ITEMS
    assert [(item.uri, item.path) for item in found[3:]] == [("https://shop/é.jpg", ""), (odd.uri, odd.path)]
    rows = [json.loads(line) for line in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert {(row["_reason"], row["_error"]) for row in rows} == {("HTTP_404", "away")}
