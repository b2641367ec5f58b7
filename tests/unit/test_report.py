"""The report holds what was found, and nothing that it would have to fetch."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lookalike.evaluation import figures
from lookalike.evaluation.document import document
from lookalike.evaluation.study import Evaluation
from tests.evaluations import evaluated
from tests.lazily import Lazily

report = Lazily("lookalike.evaluation.report")
"""It draws with matplotlib."""


class Read(HTMLParser):
    """What is in a page: its text, its pictures' alternatives, and every address in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.alts, self.addresses, self.classes = "", list[str](), list[str](), list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [given[name] or "" for name in ("src", "href", "xlink:href", "data") if name in given]
        self.classes += (given.get("class") or "").split()
        if tag == "img":
            self.alts.append(given["alt"] or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return evaluated(tmp_path_factory.mktemp("photos"), "space-a", "space-b")


@pytest.fixture(scope="module")
def page(both: Evaluation) -> str:
    text: str = report.render(both)
    return text


def test_every_figure_of_every_space_is_there_and_its_difference(both: Evaluation, page: str) -> None:
    first, second = (side.figures() for side in both.sides)
    assert first["map"] != second["map"]
    for members in figures.measured(set(first)).values():
        for figure in members:
            assert figure.title in page
            assert figure.format_value(first[figure.name]) in page
            assert figure.format_value(second[figure.name]) in page
    assert re.search(rf"{second['map']:.3f} *<b>{second['map'] - first['map']:+.3f}</b>", page)


def test_hits_are_framed_right_or_wrong_and_say_so(page: str) -> None:
    read = Read(page)
    assert {"right", "wrong"} <= set(read.classes)
    assert "hit 1, right: red <b>" in read.alts
    assert any(re.match(r"hit \d, wrong: ", alt) for alt in read.alts)
    assert read.text.count("✓") > 4
    assert all(read.alts)


def test_it_needs_nothing_else(page: str) -> None:
    read = Read(page)
    outside = [address for address in read.addresses if not address.startswith(("data:image/webp;base64,", "#"))]
    assert outside == []
    assert "@import" not in page
    assert "<script" not in page
    assert "url(http" not in page


def test_labels_are_text_and_no_markup(page: str) -> None:
    assert "red <b>" not in page
    assert "red <b>" in Read(page).text


def test_curves_are_drawn_in_the_pages_colours(page: str) -> None:
    drawn = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawn) == 3
    for svg in drawn:
        assert "var(--side-0)" in svg
        assert "var(--side-1)" in svg
        assert not re.search(r"#0[1-9]0", svg)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_it_says_what_was_left_out_and_how_it_was_measured(page: str) -> None:
    text = " ".join(Read(page).text.split())
    for said in (
        "broken.jpg: it cannot be decoded",
        "lookalike 1.2.3",
        "2026-11-23",
        "6 were searched for, 1 were not",
    ):
        assert said in text


def test_the_worst_label_comes_first(both: Evaluation, page: str) -> None:
    means = both.by_label(both.sides[0], both.sides[0].retrieval.average_precision)
    meters = re.findall(r'aria-label="mAP of ([^"]+)"', page)[::2]
    assert meters == [
        name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        for name in sorted(means, key=lambda name: means[name])
    ]


def test_the_document_is_json_and_has_the_same_figures(both: Evaluation) -> None:
    found = json.loads(json.dumps(document(both)))
    assert [side["name"] for side in found["sides"]] == ["space-a", "space-b"]
    assert found["sides"][1]["figures"] == both.sides[1].figures()
    assert found["left_out"] == [{"path": "broken.jpg", "why": "it cannot be decoded"}]
    assert found["sides"][0]["copies_found_by_alteration"] == {
        "crop-5": pytest.approx(2 / 3),
        "mirror": pytest.approx(2 / 3),
    }


def test_a_photo_that_cannot_be_decoded_here_is_named_in_its_place(tmp_path: Path) -> None:
    evaluation = evaluated(tmp_path, "space")
    (tmp_path / "red.jpg").write_bytes(b"no longer a photo")
    assert "cannot be shown" in report.render(evaluation)
