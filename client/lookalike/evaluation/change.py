"""Say what it would take to change a project to another model: images, hours and bytes."""

from dataclasses import dataclass
from typing import Final

from lookalike.records import Project

MILLION: Final = 1_000_000
_PAGE: Final = 8192
_FREE: Final = 8160
"""The bytes of a page of PostgreSQL, and those that are left for rows."""
_ROW: Final = 48
_ENTRY: Final = 476
"""What a row of the table, and an entry of the HNSW index, take beside two bytes for each number."""


@dataclass(frozen=True)
class Change:
    """The change to a space is what it still lacks.

    Attributes:
        dimensions: how many numbers a vector has.
        images: how many images have no vector yet; None if no project was named.
        images_per_second: the pace that was measured; None if the side has no embedder.
    """

    dimensions: int
    images: int | None
    images_per_second: float | None

    def figures(self) -> dict[str, float]:
        """Return the figures by name: those of the project, or else those of a million images."""
        images, suffix = (MILLION, "per_million_images") if self.images is None else (self.images, "to_change")
        figures = {"dimensions": float(self.dimensions), f"bytes_{suffix}": images * bytes_per_image(self.dimensions)}
        if self.images is not None:
            figures["images_to_change"] = float(images)
        if self.images_per_second:
            figures[f"hours_{suffix}"] = images / self.images_per_second / 3600
        return figures


def change_to(space: str, dimensions: int, project: Project | None, images_per_second: float | None = None) -> Change:
    """Return what it would take to change to a space.

    Args:
        space: its name.
        dimensions: how many numbers its vectors have.
        project: the project that would change; None: none is named.
        images_per_second: the pace of the embedder; None if there is none.
    """
    if project is None:
        return Change(dimensions, None, images_per_second)
    held = next((known.vector_count for known in project.spaces if known.name == space), 0)
    return Change(dimensions, project.image_count - held, images_per_second)


def bytes_per_image(dimensions: int) -> float:
    """Return the bytes of a vector and its entry in an HNSW index, as PostgreSQL packs them into pages."""
    return _PAGE / (_FREE // (2 * dimensions + _ROW)) + _PAGE / (_FREE // (2 * dimensions + _ENTRY) or 0.5)
