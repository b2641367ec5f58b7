"""How many images of a stream are stored in one transaction."""

from collections import deque

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.rpc.index_handler import _first, _fitting


def test_as_many_images_are_stored_at_once_as_take_a_second_and_one_at_least() -> None:
    assert [_fitting(100, seconds) for seconds in (0.5, 4, 1000, 0)] == [200, 25, 1, 1024]


def test_a_request_is_never_left_behind_however_many_images_it_has() -> None:
    requests = [wire.IndexImagesRequest(entries=[wire.ImageEntry()] * images) for images in (5, 0, 2)]
    waiting = deque(requests)
    assert list(_first(waiting, 1)) == requests[:1]
    assert list(_first(waiting, 2)) == requests[1:]  # one image that travels alone, and two
