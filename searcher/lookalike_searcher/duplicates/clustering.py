"""Cluster images that are near one another.

An image's leader is the first image that is near it and comes before it. An image without a leader is a root. The
others lead to one root, leader by leader, and all images that lead to a root are its cluster. So clusters are disjoint,
each image of a cluster is near another one of it, and the root is its first. A cluster is found from its root alone.
"""

from collections.abc import Collection, Sequence

from lookalike_searcher.duplicates.neighbours import Neighbours

_ANY = 2**63 - 1


class Forest:
    """The forest finds the clusters of all images after a given one, block by block.

    Args:
        neighbours: finds near images.
        began: the id of the image after which it begins. Clusters whose roots come up to there are left out.
    """

    def __init__(self, neighbours: Neighbours, began: int) -> None:
        self._neighbours = neighbours
        self._began = began
        self._claimed: set[int] = set()
        """Images after the current block, in clusters whose roots have been seen already."""

    async def clusters(self, block: Sequence[int], alone: Collection[int]) -> list[list[int]]:
        """Return the clusters whose roots are in the block, in order of their roots, each in order.

        Args:
            block: the ids of the next images, in order, at least one.
            alone: the ids among them that are clusters also without others.
        """
        unclaimed = set(block) - self._claimed
        leaders = await self._neighbours.later(unclaimed, self._claimed)
        members = {*leaders, *leaders.values(), *unclaimed.intersection(alone)}
        # An image whose leader comes up to `began` belongs to an earlier cluster. An image that follows one between
        # `began` and this block is claimed already.
        elders = await self._neighbours.earlier(members, self._began) if self._began else {}
        leaders = {image: leader for image, leader in leaders.items() if image not in elders}
        leaders |= await self._followers([image for image in members if image > block[-1]], {*members, *self._claimed})
        clusters = _clusters(members | leaders.keys(), leaders)
        self._claimed = {image for image in {*self._claimed, *leaders, *elders} if image > block[-1]}
        ours = (of_root for of_root in clusters if of_root[0] not in elders)
        return [of_root for of_root in ours if len(of_root) > 1 or of_root[0] in alone]

    async def _followers(self, images: Collection[int], skip: set[int]) -> dict[int, int]:
        """Return the images that these images lead, and those that they lead, and so on, with their leaders."""
        leaders: dict[int, int] = {}
        while images:
            near = await self._neighbours.later(images, skip)
            first = await self._neighbours.earlier(near, _ANY)
            led = {image: leader for image, leader in near.items() if first.get(image, leader) >= leader}
            leaders |= led
            skip |= led.keys()
            images = led.keys()
        return leaders


def _clusters(images: Collection[int], leaders: dict[int, int]) -> list[list[int]]:
    """Return the clusters in order of their roots, each in order."""
    roots: dict[int, int] = {}
    of_root: dict[int, list[int]] = {}
    for image in sorted(images):  # after its leader
        root = roots[image] = roots[leaders[image]] if image in leaders else image
        of_root.setdefault(root, []).append(image)
    return list(of_root.values())
