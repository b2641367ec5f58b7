"""Draw the contact sheet, which shows each query beside its hits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from PIL import Image, ImageDraw, ImageFont, ImageOps

from lookalike import atomic_file
from lookalike.records import Hit, Match

_CELL: Final = 132
_MARGIN: Final = 8
_CAPTION: Final = 18
_COLOURS: Final = {
    Match.EXACT: "#137333",
    Match.NEAR_DUPLICATE: "#188038",
    Match.RECOLOURED: "#1a73e8",
    Match.SIMILAR: "#b06000",
}


@dataclass(frozen=True)
class Row:
    """A row of the sheet shows a query and its hits, best first."""

    query: Path
    hits: Sequence[Hit]


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the sheet as a PNG file, with a row for each query that begins with the query."""
    columns = 1 + max(len(row.hits) for row in rows)
    step_x, step_y = _CELL + _MARGIN, _CELL + _CAPTION + _MARGIN
    sheet = Image.new("RGB", (_MARGIN + columns * step_x, _MARGIN + len(rows) * step_y), "white")
    for number, row in enumerate(rows):
        top = _MARGIN + number * step_y
        _cell(sheet, (_MARGIN, top), row.query, f"query: {row.query.stem}", "#202124")
        for column, hit in enumerate(row.hits, start=1):
            place = Path(unquote(urlsplit(hit.references[0].uri).path))
            caption = f"{hit.similarity:.3f} {hit.match}"
            _cell(sheet, (_MARGIN + column * step_x, top), place, caption, _COLOURS[hit.match])
    with atomic_file.replacing(path) as file:
        sheet.save(file, "PNG")


def _cell(sheet: Image.Image, corner: tuple[int, int], photo: Path, caption: str, colour: str) -> None:
    left, top = corner
    with Image.open(photo) as opened:
        small = ImageOps.contain(ImageOps.exif_transpose(opened).convert("RGB"), (_CELL, _CELL))
    sheet.paste(small, (left + (_CELL - small.width) // 2, top + (_CELL - small.height) // 2))
    pen = ImageDraw.Draw(sheet)
    pen.text((left, top + _CELL + 2), caption[:24], fill=colour, font=ImageFont.load_default(11))
