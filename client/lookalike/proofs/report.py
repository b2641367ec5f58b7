"""Write the report of a search for copies: one HTML file that loads no other file, with each pair of pictures.

Nothing of it is believed to be harmless: names and URIs come from elsewhere. They are escaped, they are no links, and
the page's own policy lets no script and no style run but ours, by their hashes.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Final

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from lookalike.escape import escape
from lookalike.proofs.drawing import Drawing, Picture, drawing, picture
from lookalike.proofs.words import words
from lookalike.records import Hit, MatchBasis, Suspect

_FILES: Final = ("report.html", "report.css", "report.js")


@dataclass(frozen=True)
class Pair:
    """A pair is a suspicious picture and a photo that it is a copy of.

    Attributes:
        uri: the picture's.
        hit: the photo.
        done: what was done to the photo, in words.
        shown: the picture; None if there is no small one.
        photo: the photo; None if there is no small one.
        drawn: where they lie in each other; None if one of them cannot be shown.
    """

    uri: str
    hit: Hit
    done: str
    shown: Picture | None
    photo: Picture | None
    drawn: Drawing | None


def render(project: str, suspects: Sequence[Suspect], thumbnails: Mapping[str, bytes]) -> str:
    """Return the HTML of the report.

    Args:
        project: the name of the project whose photos were copied.
        suspects: the pictures that were looked for, copies or not.
        thumbnails: small pictures of the project's photos by their hashes, as of `Client.get_thumbnail`.
    """
    folder = files(__package__) / "page"
    page, style, script = ((folder / name).read_text(encoding="utf-8") for name in _FILES)
    environment = Environment(
        loader=DictLoader({"report.html": page}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["harmless"] = escape
    return environment.get_template("report.html").render(
        project=project,
        time=datetime.now(UTC),
        pairs=list(_pairs(suspects, thumbnails)),
        copied=sum(bool(suspect.copies) for suspect in suspects),
        others=sum(not (suspect.copies or suspect.error) for suspect in suspects),
        failed=[suspect for suspect in suspects if suspect.error],
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}",
        style=Markup(style),  # noqa: S704 - our own
        script=Markup(script),  # noqa: S704 - our own
    )


def _pairs(suspects: Sequence[Suspect], thumbnails: Mapping[str, bytes]) -> Iterator[Pair]:
    photos = {sha256: picture(data) for sha256, data in thumbnails.items()}
    for suspect in suspects:
        shown = picture(suspect.picture)
        for hit in suspect.copies:
            same = hit.match_basis is MatchBasis.FILE
            photo = photos.get(hit.sha256) or (shown if same else None)
            drawn = drawing(hit.proof, shown, photo) if shown and photo else None
            done = words(hit.proof) if hit.proof else "the same file"
            yield Pair(suspect.uri, hit, done, shown, photo, drawn)


def _hash(source: str) -> str:
    """Return how a content security policy names the one source that it lets in."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
