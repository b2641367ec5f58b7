"""Clusters of images that are near one another.

An image's leader is the first image that is near it and comes before it. Whoever has none is a root; the others follow
their leaders to one, and all that arrive at a root are its cluster. So clusters are disjoint, each image of one is near
another one there, and the root is its first. A cluster is found from its root without knowing the others.
"""

from collections.abc import Collection, Sequence

from lookalike_searcher.duplicates.neighbours import Neighbours

_ANY = 2**63 - 1


class Forest:
    """Finds the clusters of all images that come after one, block by block.

    Args:
        neighbours: of the images.
        began: the image after which it begins. Clusters whose roots come up to there are not given.
    """

    def __init__(self, neighbours: Neighbours, began: int) -> None:
        self._neighbours = neighbours
        self._began = began
        self._claimed: set[int] = set()
        """Images after the blocks so far, of clusters whose root comes up to there."""

    async def clusters(self, block: Sequence[int], alone: Collection[int]) -> list[list[int]]:
        """The clusters whose roots are in the block, by their roots, each in order.

        Args:
            block: the ids of the images that come next, in order, at least one.
            alone: those of them that are clusters also without others.
        """
        unclaimed = set(block) - self._claimed
        leaders = await self._neighbours.later(unclaimed, self._claimed)
        known = {*leaders, *leaders.values(), *unclaimed.intersection(alone)}
        # Whose leader comes up to where we began belongs to a cluster of before. Who follows an image between there and
        # this block is claimed already.
        elders = await self._neighbours.earlier(known, self._began) if self._began else {}
        leaders = {image: leader for image, leader in leaders.items() if image not in elders}
        leaders |= await self._followers([image for image in known if image > block[-1]], {*known, *self._claimed})
        clusters = _clusters(known | leaders.keys(), leaders)
        self._claimed = {image for image in {*self._claimed, *leaders, *elders} if image > block[-1]}
        ours = (of_root for of_root in clusters if of_root[0] not in elders)
        return [of_root for of_root in ours if len(of_root) > 1 or of_root[0] in alone]

    async def _followers(self, images: Collection[int], skip: set[int]) -> dict[int, int]:
        """Whom these images lead, and whom those lead, and so on: images with their leaders."""
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
    """The images by their roots, in order."""
    roots: dict[int, int] = {}
    of_root: dict[int, list[int]] = {}
    for image in sorted(images):  # after its leader
        root = roots[image] = roots[leaders[image]] if image in leaders else image
        of_root.setdefault(root, []).append(image)
    return list(of_root.values())
