"""Images made from numbers, sent to the searcher as a client in any language would."""

import hashlib
from collections.abc import AsyncIterator
from functools import cache

import grpc
import numpy as np
import pytest

from lookalike import LookalikeError, errors
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_serving.fingerprint import NAME, making

INDEXED, UNCHANGED = wire.INDEX_STATUS_INDEXED, wire.INDEX_STATUS_UNCHANGED


def vector(seed: int) -> np.ndarray:
    raw = np.random.default_rng(seed).normal(size=512)
    return (raw / np.linalg.norm(raw)).astype(np.float32)


@cache
def fingerprint() -> common.Fingerprint:
    """A fingerprint of noise."""
    made = making.make(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8), 80, 60)
    return common.Fingerprint(version=NAME, picture=made.picture, keypoints=made.keypoints)


def sha256(seed: int) -> bytes:
    return hashlib.sha256(str(seed).encode()).digest()


class Writer:
    """Sends images made from numbers to one project."""

    def __init__(self, stub: SearcherServiceStub, project: str, space: str) -> None:
        self.stub, self.project, self.space = stub, project, space

    def request(
        self, seed: int, uri: str = "", *, embedded: bool = True, **reference: object
    ) -> wire.IndexImagesRequest:
        made = wire.IndexImagesRequest(
            sha256=sha256(seed),
            width=4,
            height=3,
            reference=wire.Reference(uri=uri or f"https://shop/{seed}.jpg", **reference),
        )
        if embedded:
            made.embedding.CopyFrom(common.Embedding(space=self.space, values=vector(seed)))
        return made

    async def send(self, *requests: wire.IndexImagesRequest) -> list[int | str]:
        """Index status of each request, or the reason of its error, in the requests' order."""

        async def stream() -> AsyncIterator[wire.IndexImagesRequest]:
            for sequence, request in enumerate(requests):
                request.sequence = sequence
                request.project = "" if sequence else self.project
                yield request

        answers = {answer.sequence: answer async for answer in self.stub.IndexImages(stream())}
        assert sorted(answers) == list(range(len(requests)))
        ordered = [answers[sequence] for sequence in range(len(requests))]
        return [answer.error.reason if answer.HasField("error") else answer.indexed.status for answer in ordered]

    async def counts(self) -> tuple[int, int]:
        found = (await self.stub.GetProject(wire.GetProjectRequest(name=self.project))).project
        return found.image_count, found.reference_count


async def refused(call: "grpc.aio.UnaryUnaryCall[object, object]") -> LookalikeError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return errors.from_rpc(caught.value, "searcher")
