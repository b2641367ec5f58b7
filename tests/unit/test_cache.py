"""The cache: by the file's bytes, bounded, the unused go first."""

import hashlib

from lookalike_embedder.cache import Cache
from lookalike_embedder.image import Info
from lookalike_embedder.job import Embedded, Job, Lane


def embedded(data: bytes) -> Embedded:
    return Embedded(data, hashlib.sha256(data).digest(), Info("JPEG", 1, 1, 1))


def found(cache: Cache, data: bytes) -> bool:
    job = Job(data, Lane.BULK, lambda _: None)
    answered = cache.answers(job)
    assert answered == job.cached == (job.result is not None)
    assert job.sha256 == hashlib.sha256(data).digest()
    return answered


def test_the_same_bytes_are_known_and_others_are_not() -> None:
    cache = Cache(10)
    cache.put(embedded(b"one"))
    assert found(cache, b"one")
    assert not found(cache, b"two")


def test_it_keeps_no_more_than_told_and_forgets_what_was_unused_for_longest() -> None:
    cache = Cache(2)
    cache.put(embedded(b"one"))
    cache.put(embedded(b"two"))
    assert found(cache, b"one")
    cache.put(embedded(b"three"))
    assert [found(cache, data) for data in (b"one", b"two", b"three")] == [True, False, True]
    assert len(cache) == 2


def test_a_cache_of_none_keeps_none() -> None:
    cache = Cache(0)
    cache.put(embedded(b"one"))
    assert not found(cache, b"one")
