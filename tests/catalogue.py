"""What a project ought to hold: the searcher's contract once more, in plain Python over dictionaries."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.indexer import vector

Key = tuple[str, str, str, bool]
"""A reference's uri, product, variant and whether it is staged."""
Labels = tuple[tuple[str, str], ...]
Shown = tuple[Key, Labels]
"""A reference as answers list it."""

_SAME, _NEAR = {1: 0}, {2: 0}
"""The image 1 has the vector of 0, as another file with the same pixels would; 2 is a near duplicate of it."""


def point(image: int, space: str) -> np.ndarray:
    """An image's vector in a space: float32, of length 1, and already in half precision."""
    origin = _SAME.get(image, _NEAR.get(image, image))
    offset = 1000 * sum(space.encode())
    raw = vector(origin + offset)
    if image in _NEAR:
        raw = raw + 0.2 * vector(image + offset)
    return halved(raw / np.linalg.norm(raw))


def halved(raw: np.ndarray) -> np.ndarray:
    """What is left of a vector when it is stored."""
    return raw.astype(np.float16).astype(np.float32)


@dataclass(frozen=True)
class Entry:
    """An image with one reference, and the spaces in which it brings a vector: the first is `embedding`'s."""

    image: int
    spaces: tuple[str, ...]
    key: Key
    labels: Labels
    width: int


@dataclass(frozen=True)
class Filter:
    """As on the wire; each condition is left out where it is empty or None."""

    products: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    staged: bool | None = None
    uri_prefix: str = ""
    labels: tuple[Labels, ...] = ()

    def passes(self, shown: Shown) -> bool:
        """Whether a reference meets every condition."""
        (uri, product, variant, staged), labels = shown
        return (
            (not self.products or product in self.products)
            and (not self.variants or variant in self.variants)
            and (self.staged is None or staged is self.staged)
            and uri.startswith(self.uri_prefix)
            and all(set(group) & set(labels) for group in self.labels)
        )


class Refused(Exception):
    """The operation is refused as a whole; the message is the reason."""


@dataclass
class Catalogue:
    """A project: which space serves, the images of each space, and images and references, the oldest first."""

    serving: str
    spaces: dict[str, set[int]] = field(default_factory=dict)
    widths: dict[int, int] = field(default_factory=dict)
    """Of each image."""
    references: dict[Key, tuple[int, Labels]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin empty, with the space that serves."""
        self.spaces[self.serving] = set()

    def index(self, entries: Sequence[Entry]) -> list[bool | str]:
        """Store entries in one transaction; whether each changed anything, or why it was refused."""
        results = [
            refusal or self._store(entry) for entry, refusal in zip(entries, self._refusals(entries), strict=True)
        ]
        self._sweep()
        return results

    def sync(self, product: str, entries: Sequence[Entry]) -> tuple[list[bool | str], int, int]:
        """Make the product show the entries; what each changed, and how many references and images are gone."""
        for refusal in self._refusals(entries):
            if refusal:
                raise Refused(refusal)
        images, wanted = set(self.widths), {entry.key for entry in entries}
        results: list[bool | str] = [self._store(entry) for entry in entries]
        references = self._delete(lambda key, _: key[1] == product and key not in wanted)
        return results, references, len(images - set(self.widths))

    def delete(self, uris: Iterable[str], products: Iterable[str], images: Iterable[int]) -> tuple[int, int]:
        """Delete what is named; how many references and images are gone."""
        before, named = len(self.widths), (set(uris), set(products), set(images))
        gone = self._delete(lambda key, image: key[0] in named[0] or key[1] in named[1] or image in named[2])
        return gone, before - len(self.widths)

    def create_space(self, name: str) -> None:
        """Add an empty space."""
        if name in self.spaces:
            raise Refused("SPACE_EXISTS")
        self.spaces[name] = set()

    def cut_over(self, name: str, *, allow_incomplete: bool) -> None:
        """Make a space serve."""
        if self.in_space(name) != set(self.widths) and not allow_incomplete:
            raise Refused("SPACE_INCOMPLETE")
        self.serving = name

    def delete_space(self, name: str) -> None:
        """Delete a space that does not serve."""
        self.in_space(name)
        if name == self.serving:
            raise Refused("SPACE_SERVES")
        del self.spaces[name]

    def in_space(self, name: str) -> set[int]:
        """The images with a vector in the space; in none, the one that serves."""
        if (name or self.serving) not in self.spaces:
            raise Refused("SPACE_NOT_FOUND")
        return self.spaces[name or self.serving]

    def at(self, uri: str, among: Iterable[int] | None = None) -> int:
        """The image of the newest reference with the URI."""
        found = [image for key, (image, _) in self.references.items() if key[0] == uri]
        found = [image for image in found if among is None or image in among]
        if not found:
            raise Refused("IMAGE_NOT_FOUND")
        return found[-1]

    def listed(self, chosen: Filter | None = None, missing_in: str = "") -> list[tuple[int, list[Shown]]]:
        """The images with a reference that passes the filter, with those that do, the oldest first."""
        there = self.in_space(missing_in) if missing_in else set()
        shown = {image: self.shown(image, chosen or Filter()) for image in self.widths if image not in there}
        return [(image, references) for image, references in shown.items() if references]

    def shown(self, image: int, chosen: Filter) -> list[Shown]:
        """The image's references that pass the filter, the oldest first."""
        of_image = [(key, labels) for key, (its, labels) in self.references.items() if its == image]
        return [shown for shown in of_image if chosen.passes(shown)]

    def _refusals(self, entries: Sequence[Entry]) -> list[str]:
        """Why each entry is refused, if it is. One that is not may bring the vector that another one relies on."""
        known = [entry for entry in entries if set(entry.spaces) <= set(self.spaces)]
        there = set(self.widths) | {entry.image for entry in known if self.serving in entry.spaces}
        unknown = ["" if entry in known else "WRONG_SPACE" for entry in entries]
        return [
            why or ("" if e.image in there else "EMBEDDING_NEEDED") for e, why in zip(entries, unknown, strict=True)
        ]

    def _store(self, entry: Entry) -> bool:
        """Whether it changed anything."""
        before = self.references.get(entry.key), [entry.image in self.spaces[space] for space in entry.spaces]
        self.widths.setdefault(entry.image, entry.width)
        for space in entry.spaces:
            self.spaces[space].add(entry.image)
        self.references[entry.key] = (entry.image, entry.labels)
        return before != (self.references[entry.key], [True] * len(entry.spaces))

    def _delete(self, doomed: Callable[[Key, int], bool]) -> int:
        """How many references."""
        kept = {key: shown for key, shown in self.references.items() if not doomed(key, shown[0])}
        gone = len(self.references) - len(kept)
        self.references = kept
        self._sweep()
        return gone

    def _sweep(self) -> None:
        """Forget the images that have lost their last reference."""
        lost = set(self.widths) - {image for image, _ in self.references.values()}
        self.widths = {image: width for image, width in self.widths.items() if image not in lost}
        for images in self.spaces.values():
            images -= lost
