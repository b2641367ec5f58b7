"""What callers that know nothing of one another did to references, and what those may therefore show in the end.

The searcher's transactions on one project follow one another, so some order of all deeds explains the end. In it a deed
that began after another one had ended comes after that, and those of a stream come in the stream's order.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Key = tuple[str, str]
"""A reference's uri and product; the rest of its key is left at the default."""


def _nothing(_: Key) -> bool:
    return False


@dataclass(eq=False)
class Deed:
    """One request: the images that references show after it, and which further references it deletes.

    `ended` is when it was acknowledged, and so is `certain` to have been done; or when it had been done, or else never
    will be.
    """

    shows: Mapping[Key, int]
    deletes: Callable[[Key], bool]
    deletes_images: frozenset[int]
    stream: object
    began: int
    ended: float = math.inf
    certain: bool = False

    def touches(self, key: Key) -> bool:
        """Whether the reference is as the deed left it, whatever it was before."""
        return key in self.shows or self.deletes(key)

    def follows(self, other: "Deed") -> bool:
        """Whether it came later in any case."""
        return self.began > other.ended or (self.stream is other.stream and self.began > other.began)


@dataclass
class History:
    """The deeds on one project."""

    deeds: list[Deed] = field(default_factory=list)
    acknowledged: int = 0
    """How many deeds were."""
    _clock: "itertools.count[int]" = field(default_factory=itertools.count)

    def begin(
        self,
        shows: Mapping[Key, int] | None = None,
        *,
        deletes: Callable[[Key], bool] = _nothing,
        deletes_images: Iterable[int] = (),
        stream: object = None,
    ) -> Deed:
        """Note that a request is sent; without a stream of its own it is one by itself."""
        deed = Deed(shows or {}, deletes, frozenset(deletes_images), stream or object(), next(self._clock))
        self.deeds.append(deed)
        return deed

    def acknowledge(self, deed: Deed) -> None:
        """Note that it was answered: it is done."""
        deed.ended, deed.certain = next(self._clock), True
        self.acknowledged += 1

    def lose(self) -> None:
        """Note that what was not answered so far was done by now or never will be."""
        now = next(self._clock)
        for deed in self.deeds:
            deed.ended = min(deed.ended, now)

    def check(self, shown: Mapping[Key, int]) -> None:
        """Assert that the references, with the images that they show, can be what the deeds have left.

        Then begin anew with what they show.
        """
        keys = {key for deed in self.deeds for key in deed.shows}
        assert set(shown) <= keys, f"nobody made {set(shown) - keys}"
        for key in keys:
            found, last = shown.get(key), self._last(key)
            explained = _may_be_gone(key, last) if found is None else _may_show(key, found, last)
            assert explained, f"{key} cannot show {found} in the end: {_told(key, last)}"
        self.deeds = [deed for deed in self.deeds if deed.ended == math.inf]
        self.deeds.append(
            Deed(shown, _nothing, frozenset(), object(), next(self._clock), next(self._clock), certain=True)
        )

    def _last(self, key: Key) -> list[Deed]:
        """The deeds that may have left the reference as it is: those that no certain one has followed."""
        concerned = [deed for deed in self.deeds if deed.touches(key) or deed.deletes_images]
        since = max((deed.began for deed in concerned if deed.certain and deed.touches(key)), default=0)
        return [deed for deed in concerned if deed.ended >= since]


def _may_show(key: Key, image: int, deeds: Sequence[Deed]) -> bool:
    def undone(by: Deed) -> bool:
        return (by.touches(key) and by.shows.get(key) != image) or image in by.deletes_images

    return any(
        not any(later.certain and later.follows(deed) and undone(later) for later in deeds)
        for deed in deeds
        if deed.shows.get(key) == image
    )


def _may_be_gone(key: Key, deeds: Sequence[Deed]) -> bool:
    makers = [deed for deed in deeds if deed.certain and key in deed.shows]
    deleters = [deed for deed in deeds if _may_delete(deed, key, deeds)]
    return not makers or any(not any(maker.follows(deleter) for maker in makers) for deleter in deleters)


def _may_delete(deed: Deed, key: Key, deeds: Sequence[Deed]) -> bool:
    """Whether it may have found the reference, and deleted it."""

    def hidden(shower: Deed) -> bool:
        return any(d.certain and d.touches(key) and d.follows(shower) and deed.follows(d) for d in deeds)

    return (deed.deletes(key) and key not in deed.shows) or any(
        shower.shows.get(key) in deed.deletes_images and not shower.follows(deed) and not hidden(shower)
        for shower in deeds
    )


def _told(key: Key, deeds: Sequence[Deed]) -> list[str]:
    """The deeds, for people."""
    return [
        f"{deed.began}-{deed.ended}{'' if deed.certain else '?'}: {deed.shows.get(key, 'deletes')}" for deed in deeds
    ]
