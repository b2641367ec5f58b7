"""The report of copies has both pictures of each pair, where each lies in the other, and nothing that acts."""

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lookalike import MatchBasis, Suspect, UnreadableImageError
from lookalike.cli import results
from lookalike.proofs.drawing import drawing, picture
from lookalike.proofs.report import render
from tests.proofs import HOSTILE, stolen
from tests.unit.test_report import Read


@pytest.fixture(scope="module")
def pair() -> tuple[Suspect, dict[str, bytes]]:
    return stolen()


@pytest.fixture(scope="module")
def page(pair: tuple[Suspect, dict[str, bytes]]) -> str:
    failed = Suspect(HOSTILE, error=UnreadableImageError(HOSTILE, reason="UNREADABLE"))
    return render("shop", [pair[0], failed, Suspect("https://elsewhere/1")], pair[1])


def test_text_of_others_is_shown_and_does_nothing(page: str) -> None:
    read = Read(page)
    assert HOSTILE.replace("\u202e", r"\u202e") in read.text
    assert "\u202e" not in page, "which would turn what follows round"
    assert not re.search(r"<img|<b>|<a\b", page)
    assert [address[:23] for address in read.addresses] == ["data:image/webp;base64,"] * 2 + ["#picture-1", "#photo-1"]
    assert not re.search(r'\s(?:style|on[a-z]+)="', page), "what a policy without inline styles and scripts would stop"


def test_its_policy_lets_nothing_run_but_its_own_script_and_style(page: str) -> None:
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    rules = dict(rule.split(" ", 1) for rule in policy.replace("&#39;", "'").split("; "))
    assert rules.keys() == {"default-src", "img-src", "style-src", "script-src"}
    assert (rules["default-src"], rules["img-src"]) == ("'none'", "data:")
    for tag in ("style", "script"):
        [source] = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert rules[f"{tag}-src"] == f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def test_it_says_what_was_found_and_what_was_not_looked_for(page: str) -> None:
    text = " ".join(Read(page).text.split())
    for said in ("1 picture is a copy, 1 is not, 1 could not be looked for", "near-duplicate mirrored, cropped to"):
        assert said in text


def test_the_photo_lies_over_the_picture_where_its_corners_are(pair: tuple[Suspect, dict[str, bytes]]) -> None:
    [hit] = pair[0].copies
    shown, photo = picture(pair[0].picture), picture(pair[1][hit.sha256])
    assert shown
    assert photo
    assert hit.proof
    drawn = drawing(hit.proof, shown, photo)
    a, b, c, d, e, f = map(float, drawn.transform[7:-1].split())
    corners = np.array([[0, 0], [photo.width, 0], [photo.width, photo.height], [0, photo.height]])
    laid = corners @ [[a, b], [c, d]] + [e, f]
    outline = np.array([point.split(",") for point in drawn.photo_in_picture.split()], float)
    assert np.abs(laid - outline).max() < 1.5
    assert a < 0, "it is mirrored"
    assert drawn.covered == (shown.width / 2, shown.height / 2, shown.width / 4, shown.height / 2)


def test_a_pair_without_a_picture_is_told_all_the_same(pair: tuple[Suspect, dict[str, bytes]]) -> None:
    """The photo was deleted since, or the picture has no fingerprint; of one file, one picture is enough."""
    suspect, thumbnails = pair
    assert render("shop", [suspect], {}).count("no picture") == 1
    assert render("shop", [replace(suspect, picture=b"GIF89a")], thumbnails).count("no picture") == 1
    same = replace(suspect.copies[0], match_basis=MatchBasis.FILE, proof=None)
    page = render("shop", [replace(suspect, copies=(same,))], {})
    assert "no picture" not in page
    assert "the same file" in page


def test_results_are_read_as_they_were_written(pair: tuple[Suspect, dict[str, bytes]], tmp_path: Path) -> None:
    """All but failures, which are looked for again, and what was half written when a run was killed."""
    file = tmp_path / "results.jsonl"
    other, failed = Suspect("https://elsewhere/1", unverified=2), Suspect("x", error=UnreadableImageError("away"))
    lines = [results.line(suspect) for suspect in (pair[0], failed, other, pair[0])]
    file.write_text("\n".join(lines)[:-9])
    assert list(results.read(file)) == [pair[0], other]
    assert list(results.read(tmp_path / "none")) == []
