"""Cluster images: those that are connected by duplicates are one cluster, unless somebody said that they are none."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from lookalike_searcher.copies.proof import Kind


class Fellow(NamedTuple):
    """The nearest fellow of an image is the most similar one that it was found to be a duplicate of.

    `kind` says what its fingerprint showed; None if none was compared, so that the cosine told.
    """

    image_id: int
    cosine: float
    kind: Kind | None


class Clusters:
    """The clusters grow as pairs are joined.

    Args:
        dismissed: pairs of images that are no duplicates. The two of a pair are never in one cluster.
    """

    def __init__(self, dismissed: Iterable[tuple[int, int]] = ()) -> None:
        self.fellows: dict[int, Fellow] = {}
        """The nearest fellow of each image that has one."""
        self._parents: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self._apart: dict[int, set[int]] = defaultdict(set)
        """For the root of a cluster, the roots of those that it must not be joined with."""
        for one, other in dismissed:
            self._apart[one].add(other)
            self._apart[other].add(one)

    def are_settled(self, one: int, other: int, cosine: float) -> bool:
        """Return whether joining the pair would change nothing: they are in one cluster, with fellows as near."""
        if self.root(one) != self.root(other):
            return False
        return self.fellows[one].cosine >= cosine and self.fellows[other].cosine >= cosine

    def are_apart(self, one: int, other: int) -> bool:
        """Return whether joining the pair would put images in one cluster that were dismissed."""
        return self.root(other) in self._apart.get(self.root(one), ())

    def join(self, one: int, other: int, cosine: float, kind: Kind | None = None) -> None:
        """Put two images, which must not be apart, in one cluster."""
        for image, fellow in ((one, other), (other, one)):
            if image not in self.fellows or self.fellows[image].cosine < cosine:
                self.fellows[image] = Fellow(fellow, cosine, kind)
        larger, smaller = self.root(one), self.root(other)
        if larger == smaller:
            return
        if self._sizes.get(larger, 1) < self._sizes.get(smaller, 1):
            larger, smaller = smaller, larger
        self._parents[smaller] = larger
        self._sizes[larger] = self._sizes.get(larger, 1) + self._sizes.pop(smaller, 1)
        for apart in self._apart.pop(smaller, ()):
            self._apart[apart].discard(smaller)
            self._apart[apart].add(larger)
            self._apart[larger].add(apart)

    def are_fellows(self, one: int, other: int) -> bool:
        """Return whether one of two joined images is the nearest fellow of the other."""
        return other == self.fellows[one].image_id or one == self.fellows[other].image_id

    def root(self, image: int) -> int:
        """Return the image that stands for the cluster of an image."""
        parents = self._parents
        while (parent := parents.get(image, image)) != image:
            parents[image] = parents.get(parent, parent)
            image = parent
        return image

    def groups(self) -> list[list[int]]:
        """Return the clusters in order of their first images, each in order."""
        groups: dict[int, list[int]] = {}
        for image in sorted(self.fellows):
            groups.setdefault(self.root(image), []).append(image)
        return list(groups.values())
