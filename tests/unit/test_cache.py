"""The cache: by the file's bytes, bounded, the unused go first."""

import hashlib
from dataclasses import replace

from lookalike_embedder.cache import Cache
from lookalike_embedder.image import Info
from lookalike_embedder.job import Embedded, Job, Lane
from lookalike_serving.fingerprint import Fingerprint


def embedded(data: bytes, fingerprint: Fingerprint | None = None) -> Embedded:
    return Embedded(data, hashlib.sha256(data).digest(), Info("JPEG", 1, 1, 1), fingerprint)


def found(cache: Cache, data: bytes, *, fingerprint: bool = False, views: bool = False) -> bool:
    job = Job(data, Lane.BULK, lambda _: None, wants_fingerprint=fingerprint, wants_views=views)
    answered = cache.answers(job)
    assert answered == job.cached == (job.result is not None)
    assert job.sha256 == hashlib.sha256(data).digest()
    return answered


def test_the_same_bytes_are_known_and_others_are_not() -> None:
    cache = Cache(10)
    cache.put(embedded(b"one"))
    assert found(cache, b"one")
    assert not found(cache, b"two")


def test_a_result_without_a_fingerprint_does_not_answer_who_asks_for_one() -> None:
    cache = Cache(10)
    cache.put(embedded(b"one"))
    assert not found(cache, b"one", fingerprint=True)
    cache.put(embedded(b"one", Fingerprint(b"picture", b"keypoints")))
    assert found(cache, b"one", fingerprint=True)
    assert found(cache, b"one")


def test_a_text_is_not_a_file_of_the_same_bytes() -> None:
    cache = Cache(10)
    cache.put(embedded(b"one"))
    text = Job(b"one", Lane.INTERACTIVE, lambda _: None, is_text=True)
    assert not cache.answers(text)
    cache.put(Embedded(b"vector", text.sha256, None))
    assert cache.answers(text)
    assert found(cache, b"one")


def test_a_result_without_views_does_not_answer_who_asks_for_them() -> None:
    cache = Cache(10)
    cache.put(embedded(b"one"))
    assert not found(cache, b"one", views=True)
    cache.put(replace(embedded(b"one"), views=(b"view",)))
    assert found(cache, b"one", views=True)
    assert found(cache, b"one")


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
