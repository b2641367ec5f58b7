"""Files of labels: what is taken of them, and what is said of those that cannot be evaluated."""

from pathlib import Path

import pytest

from lookalike import InvalidRequestError
from lookalike.constants import MAX_IMAGE_BYTES
from lookalike.evaluation import labels


def write(folder: Path, text: str, photos: str = "abcdef") -> Path:
    """The file, and beside it photos: each its own name over and over."""
    for name in photos:
        (folder / name).write_bytes(name.encode() * 8)
    path = folder / "labels.csv"
    path.write_bytes(text.encode())
    return path


def test_photos_are_beside_the_file_and_other_columns_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "x, y").write_bytes(b"x")
    path = write(tmp_path, '\ufeffpath,query,label\r\na,1,red\r\n"deep/x, y",,red\r\nb,1,blue\r\n')
    found = labels.read(path)
    assert [(photo.name, photo.label) for photo in found.photos] == [("a", "red"), ("deep/x, y", "red"), ("b", "blue")]
    assert found.photos[1].path.read_bytes() == b"x"
    assert found.left_out == ()


def test_the_list_that_is_indexed_can_be_evaluated(tmp_path: Path) -> None:
    """A photo is read from `path`, and named after it; the product is its label, unless there is one."""
    path = write(
        tmp_path, "uri;path;product\nhttps://shop/1.jpg;a;hat\nhttps://shop/2.jpg;b;hat\nhttps://shop/3.jpg;c;bag\n"
    )
    assert [(photo.name, photo.label) for photo in labels.read(path).photos] == [
        ("a", "hat"),
        ("b", "hat"),
        ("c", "bag"),
    ]
    path = write(
        tmp_path,
        '[{"uri": "a", "Product": "hat"}, {"uri": "b", "Product": "hat", "label": "bag"},'
        ' {"uri": "./c", "Product": "hat"}]',
    )
    path = path.rename(tmp_path / "list.json")
    assert [photo.label for photo in labels.read(path).photos] == ["hat", "bag", "hat"]
    with pytest.raises(InvalidRequestError, match="no two photos of the same label"):
        labels.read(write(tmp_path, "uri,kind\na,x\nb,y\n"), columns={"label": "kind"})


def test_a_content_is_one_photo_as_the_searcher_has_it(tmp_path: Path) -> None:
    path = write(tmp_path, "path,label\na,red\nb,red\nc,red\nd,blue\n")
    (tmp_path / "b").write_bytes((tmp_path / "a").read_bytes())
    (tmp_path / "d").write_bytes((tmp_path / "c").read_bytes())
    (tmp_path / "e").write_bytes(b"e")
    path.write_text(path.read_text() + "e,blue\n")
    found = labels.read(path)
    assert [photo.name for photo in found.photos] == ["a", "c", "e"]
    assert [(one.name, one.why) for one in found.left_out] == [
        ("b", "the same file as a"),
        ("d", "the same file as c, which has another label: red"),
    ]


def test_what_cannot_be_sent_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "path,label\na,red\nb,red\nc,red\nd,blue\n")
    with (tmp_path / "c").open("wb") as file:
        file.truncate(MAX_IMAGE_BYTES + 1)
    found = labels.read(path)
    assert [one.name for one in found.left_out] == ["c"]
    assert "at most" in found.left_out[0].why


def test_a_sample_is_of_each_label_and_the_same_for_a_seed(tmp_path: Path) -> None:
    path = write(tmp_path, "path,label\na,red\nb,red\nc,red\nd,red\ne,blue\nf,red\n")
    samples = [labels.read(path, 2, seed) for seed in (0, 0, 1, 2, 3)]
    assert all([photo.label for photo in sample.photos].count("red") == 2 for sample in samples)
    assert all("e" in [photo.name for photo in sample.photos] for sample in samples)
    assert samples[0] == samples[1]
    assert len({sample.photos for sample in samples}) > 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,class\na,red\n", "line 2 has no label, and no product"),
        ("a,red\n", "has no column `uri`; its columns are a, red"),
        ("", "it has no photos"),
        ("uri,label\nhttps://shop/1.jpg,red\n", "line 2: https://shop/1.jpg is not a file of this machine"),
        ("path,label\n", "it has no photos"),
        ("path,label\na,red\nb,\n", "line 3 has no label"),
        ("path,label\n,red\n", ":2: uri: must be text"),
        ("path,label\na,red\nb,red\n", "it has one label only, red"),
        ("path,label\na,red\nb,blue\n", "no two photos of the same label"),
        (
            "path,label\na,red\nx,red\ny,blue\n",
            "2 of its 3 photos do not exist, the first is x: paths are relative to",
        ),
    ],
)
def test_what_cannot_be_evaluated_says_why(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InvalidRequestError) as raised:
        labels.read(path)
    assert said in str(raised.value)
    assert str(path) in str(raised.value)
    assert raised.value.reason == "INVALID_LABELS"


def test_a_file_that_is_no_text_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    path.write_bytes(b"path,label\n\xff\xfe\x00")
    with pytest.raises(InvalidRequestError, match=r"labels.csv:2: is not UTF-8"):
        labels.read(path)


def test_leaving_out_too_much_says_why(tmp_path: Path) -> None:
    found = labels.read(write(tmp_path, "path,label\na,red\nb,red\nc,blue\n"))
    with pytest.raises(InvalidRequestError, match=r"one label only, red.*1 were left out, the first: broken"):
        found.without([labels.LeftOut("c", "broken")])
