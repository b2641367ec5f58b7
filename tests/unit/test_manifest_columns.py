"""Which column of a manifest is which, and what else its text may be like."""

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from lookalike import InvalidRequestError, Item
from lookalike.sources import Findings, Format
from lookalike.sources.manifest import Options, binary_items, file_items

HAT = Item(None, "https://shop/1.jpg", "hat", labels={"colour": "red"})


class Read:
    """What is read of a manifest: items, and by line what failed and what was noted."""

    def __init__(self, data: str | bytes, form: Format = Format.AUTO, **options: object) -> None:
        findings = Findings()
        file = io.BytesIO(data if isinstance(data, bytes) else data.encode())
        self.items = list(binary_items(file, "list", "/base", Options(form, **options), findings))
        self.failed = {failure.uri: str(failure.error) for failure in findings.failures}
        self.noted = {note.place: f"{note.reason} {note.message}" for note in findings.notes}

    @property
    def clean(self) -> list[Item]:
        """The items, where there is nothing else."""
        assert not self.failed
        assert not self.noted
        return self.items


@pytest.mark.parametrize(
    "text",
    [
        "uri, product, colour\nhttps://shop/1.jpg, hat, red\n",
        "URI,Product ,colour\nhttps://shop/1.jpg,hat,red\n",
        "uri;product;colour\nhttps://shop/1.jpg;hat;red\n",
        "uri\tproduct\tcolour\nhttps://shop/1.jpg\that\tred\n",
        "uri|product|colour\r\nhttps://shop/1.jpg|hat|red\r\n",
        "sep=;\nuri;product;colour\nhttps://shop/1.jpg;hat;red\n",
        "\n\n uri,product,colour,,\nhttps://shop/1.jpg,hat,red,,\n\n",
        '"uri", "product", "colour"\n"https://shop/1.jpg", "hat", "red"\n',
        'colour;product;note, or so;"uri"\rred;hat;;https://shop/1.jpg',
        '[{"uri": "https://shop/1.jpg", "Product": "hat", "colour": "red"}]',
        '[\n  {\n    "uri": "https://shop/1.jpg",\n    "product": "hat",\n    "colour": "red"\n  }\n]\n',
    ],
)
@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, bz2.compress, lzma.compress, lambda data: b"\xef\xbb\xbf" + data]
)
def test_names_are_stripped_and_folded_and_separators_found_in_packed_text_too(
    text: str, pack: Callable[[bytes], bytes]
) -> None:
    assert Read(pack(text.encode())).clean == [HAT]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        *(("url,product", "`url` may be it: use --column uri=url"), ("image_url", "--column uri=image_url")),
        ("uri,prodcut", "its column `prodcut` is nearly `product`: rename it, or use --column product=prodcut"),
        *(
            ("uri,Products", "nearly `product`"),
            ("uri,product_id", "nearly `product`"),
            ("uri,varient", "nearly `variant`"),
        ),
        *(("uri,stage", "if it is a label, use --column stage=stage"), ("uri,product,Product", "`product` twice")),
        *(("uri,size,size", "`size` twice"), ("colour,size", "no column `uri`; its columns are colour, size")),
        *(
            ("Typ,Artikelnummer,Bilder", "--column uri=Bilder"),
            ("https://a/1.jpg,hat", "its first line seems to be a row"),
        ),
    ],
)
def test_what_a_header_lacks_or_has_twice_is_refused_with_the_likely_name(header: str, said: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Read(f"{header}\n", Format.CSV)
    assert said in str(caught.value)


def test_labels_that_are_nearly_a_name_are_labels_beside_it_or_if_that_is_said() -> None:
    assert Read("uri,product,products\nhttps://a,hat,hats\n").clean[0].labels == {"products": "hats"}
    text = "uri,product_type,production,Stage\nhttps://a,t,p,s\n"
    assert Read(text, columns={"Stage": "Stage"}).clean[0].labels == {
        "product_type": "t",
        "production": "p",
        "Stage": "s",
    }


def test_columns_are_mapped() -> None:
    text = "SKU;Bild;Farbe;uri\n7;https://shop/1.jpg;rot;x\n"
    columns = {"product": "sku", "uri": "Bild", "colour": "Farbe"}
    assert Read(text, columns=columns).clean == [
        Item(None, "https://shop/1.jpg", "7", labels={"colour": "rot", "uri": "x"})
    ]
    with pytest.raises(InvalidRequestError, match="no column `Farben`; its columns are SKU, Bild, Farbe, uri"):
        Read(text, columns={**columns, "colour": "Farben"})
    with pytest.raises(InvalidRequestError, match="no column `art`"):
        Read(text, columns={**columns, "product": "art"})


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("uri_1,uri_2,uri_3\na.jpg,https://b,\n", {}),
        ("uri,uri,product\na.jpg,https://b,\n", {}),
        ("id;image_link_1;image_link_2\n1;a.jpg;https://b\n", {"uri": "image_link"}),
        ('uri\n"[""a.jpg"", ""https://b""]"\n', {}),
        ('{"uri": ["a.jpg", "https://b"]}', {}),
    ],
)
def test_a_row_may_name_several_images(text: str, columns: dict[str, str]) -> None:
    assert [item.uri for item in Read(text, columns=columns).clean] == ["file:///base/a.jpg", "https://b"]


@pytest.mark.parametrize("between", [",", ", ", ";", " | ", " "])
def test_a_field_may_be_a_list_of_urls_and_a_url_may_have_a_comma(between: str) -> None:
    text = f'uri\tproduct\n"https://shop/w_1,h_2/a.jpg{between}s3://b/c d.jpg"\thats\n'
    assert [item.uri for item in Read(text).clean] == ["https://shop/w_1,h_2/a.jpg", "s3://b/c d.jpg"]


def test_whole_floats_are_integers_and_nan_is_absent(tmp_path: Path) -> None:
    rows = {
        "uri": [b"https://a", b"https://b"],  # as programs write it that do not say what is text
        "product": [1001.0, float("nan")],
        "staged": [float("nan"), 1.0],
        "size": [2.5, float("nan")],
        "price": [Decimal("19.90"), None],
        "bytes": [b"\xff", b""],
    }
    parquet.write_table(pa.table(rows), tmp_path / "m.parquet")
    findings = Findings()
    assert list(file_items(str(tmp_path / "m.parquet"), Options(), findings)) == [
        Item(None, "https://a", "1001", labels={"size": "2.5", "price": "19.90"}),
        Item(None, "https://b", staged=True),
    ]
    assert ["`bytes` has no text: binary" in note.message for note in findings.notes] == [True]
    assert Read('{"uri": "https://a", "product": 7.0, "size": NaN}').clean == [Item(None, "https://a", "7")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_says_the_encoding(encoding: str) -> None:
    assert Read("uri;product\nhttps://a;Mütze\n".encode(encoding)).clean == [Item(None, "https://a", "Mütze")]


def test_a_line_in_another_encoding_fails_alone_and_the_likely_one_is_named() -> None:
    data = "uri,product\nhttps://a,Mütze\nhttps://b,hat\n".encode("latin-1")
    read = Read(data)
    assert [item.product for item in read.items] == ["hat"]
    assert "is not UTF-8; it looks like Windows-1252 or Latin-1 ('https://a,Mütze')" in read.failed["list:2"]
    assert "use --encoding cp1252" in read.failed["list:2"]
    assert [item.product for item in Read(data, encoding="cp1252").clean] == ["Mütze", "hat"]
    with pytest.raises(InvalidRequestError, match=r"line 1 is not UTF-8; it looks like Windows-1252"):
        Read("uri,größe\nhttps://a,7\n".encode("latin-1"))
    with pytest.raises(InvalidRequestError, match=r"line 1 is not UTF-8; it looks like UTF-16 .* --encoding utf-16-le"):
        Read("uri,product\nhttps://a,hat\n".encode("utf-16-le"))
    assert Read("uri,product\nhttps://a,hat\n".encode("utf-16-le"), encoding="utf-16-le").clean


def test_a_line_that_is_no_text_fails_alone() -> None:
    read = Read(b"uri,product\nhttps://a,\0\nhttps://b,hat\n")
    assert [item.product for item in read.items] == ["hat"]
    assert read.failed == {"list:2": "list:2: is not text"}


def test_short_rows_are_taken_and_noted_and_refused_where_that_is_asked_for() -> None:
    text = "uri,product,colour\nhttps://a,hat\nhttps://b,bag,red\n"
    read = Read(text)
    assert [item.product for item in read.items] == ["hat", "bag"]
    assert read.noted == {"list:2": "SHORT_ROW list:2: it has 1 fields less than the header: they count as empty"}
    strict = Read(text, strict=True)
    assert [item.product for item in strict.items] == ["bag"]
    assert [*strict.failed] == ["list:2"]


def test_a_label_that_is_too_long_is_dropped_and_noted_and_its_row_refused_where_that_is_asked_for() -> None:
    row = {"uri": "https://a", "colour": "red", "story": "ö" * 129, "n" * 65: "x"} | {f"l{n}": "x" for n in range(64)}
    read = Read(json.dumps(row))
    assert len(read.items[0].labels) == 64
    assert read.items[0].labels["colour"] == "red"
    assert "story" not in read.items[0].labels
    assert Read(json.dumps(row), strict=True).items == []
    short = Read(json.dumps({"uri": "https://a", "story": "ö" * 129}))
    assert short.noted == {
        "list:1": "LABEL_DROPPED list:1: label 'story' must be at most 256 bytes, got 258; the image is indexed without"
        " it"
    }


def test_a_quote_that_is_never_closed_loses_no_row_in_silence() -> None:
    read = Read('uri,product\nhttps://a,hat\nhttps://b,"bag\nhttps://c,cap\n')
    assert [item.uri for item in read.items] == ["https://a"]
    assert "lines 3 to 4 are left out; a quote may be missing there" in read.failed["list:4"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        *((b"PK\x03\x04rest", "a spreadsheet or a zip archive"), (b"\x28\xb5\x2f\xfdrest", "compressed with zstd")),
        *(
            (gzip.compress(b"uri\n", mtime=0)[:12], "it is damaged, or not complete"),
            (b'[{"uri"', "line 1 is not JSON"),
        ),
        (b'{\n  "uri": "https://a"\n}\n', "it must be an array of objects, or have one on each line"),
        (b"uri\n" + b"a" * 1024 * 1024, "line 2 has more than 1048576 characters"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=said):
        Read(data)


def test_what_breaks_off_gives_what_was_read_and_one_failure() -> None:
    rows = "".join(f"https://shop/{n}.jpg\n" for n in range(20_000))
    read = Read(gzip.compress(f"uri\n{rows}".encode())[:-9])
    assert len(read.items) > 10_000
    assert "not complete" in read.failed["list"]
    read = Read('[{"uri": "https://a"}, "https://b",\n 7, {"uri": "https://c"} {')
    assert [item.uri for item in read.items] == ["https://a", "https://b", "https://c"]
    assert "line 2 is not JSON: expected `,` or `]`" in read.failed["list"]
    assert "is not a JSON object" in read.failed["list:2"]


def test_a_long_array_on_one_line_is_read_piece_by_piece() -> None:
    rows = [{"uri": f"https://shop/{n}.jpg", "story": "x" * 200} for n in range(10_000)]
    assert [item.uri for item in Read(json.dumps(rows)).clean] == [row["uri"] for row in rows]
