"""Index vectors of a model of your own, without an embedder: the searcher alone stores and ranks them.

    pip install lookalike numpy
    python examples/index_own_vectors.py shop vectors.npy uris.txt --space my-model-384-v1

`vectors.npy` has a row for each image, of 1 to 4,000 numbers; `uris.txt` has the image's URI on the same line. The name
of the space stands for the model: another model, or another version of it, gets another name. What is stored already is
found unchanged, so the same command goes on after an interruption.
"""

import argparse
import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import numpy as np

from lookalike import AlreadyExistsError, Client, Embedding
from lookalike.v1 import common_pb2, searcher_pb2
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub

BATCH = 256


def entry(space: str, uri: str, vector: np.ndarray) -> searcher_pb2.ImageEntry:
    """One image, known by a hash: of its file if you have it, as here, else of whatever never changes about it."""
    file = Path(uri)
    sha256 = hashlib.sha256(file.read_bytes() if file.is_file() else uri.encode()).digest()
    embedding = common_pb2.Embedding(space=space, values=vector)
    return searcher_pb2.ImageEntry(sha256=sha256, embedding=embedding, reference=searcher_pb2.Reference(uri=uri))


async def index(searcher: str, project: str, space: str, uris: list[str], vectors: np.ndarray) -> Counter[str]:
    """Send all images over one stream, in messages of several; an answer comes after its images are committed."""

    async def requests() -> AsyncIterator[searcher_pb2.IndexImagesRequest]:
        for start in range(0, len(uris), BATCH):
            part = zip(uris[start : start + BATCH], vectors[start : start + BATCH], strict=True)
            entries = [entry(space, uri, vector) for uri, vector in part]
            yield searcher_pb2.IndexImagesRequest(sequence=start, project=project, entries=entries)

    counts: Counter[str] = Counter()
    async with grpc.aio.insecure_channel(searcher) as channel:
        async for answer in SearcherServiceStub(channel).IndexImages(requests()):
            for uri, result in zip(uris[answer.sequence :], answer.entries.results, strict=False):
                if result.HasField("error"):
                    counts["failed"] += 1
                    print(f"{result.error.reason}: {uri}: {result.error.message}")
                else:
                    status = searcher_pb2.IndexStatus.Name(result.indexed.status)
                    counts[status.removeprefix("INDEX_STATUS_").lower()] += 1
    return counts


async def run(options: argparse.Namespace) -> None:
    """Create the project, index, and search for the first vector."""
    vectors = np.load(options.vectors).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)  # the searcher takes vectors of length 1
    uris = options.uris.read_text().split("\n")[: len(vectors)]
    async with Client(searcher=options.searcher) as client:
        try:
            await client.create_project(options.project, space=options.space, dimensions=vectors.shape[1])
        except AlreadyExistsError:
            print(f"project {options.project} is there already")
        counts = await index(options.searcher, options.project, options.space, uris, vectors)
        print(", ".join(f"{count:,} {status}" for status, count in sorted(counts.items())))
        query = Embedding(options.space, tuple(vectors[0].tolist()))
        found = await client.search(options.project, embedding=query, limit=3)
        for hit in found.hits:
            print(f"{hit.similarity:.3f} {hit.references[0].uri}")
    raise SystemExit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project")
    parser.add_argument("vectors", type=Path)
    parser.add_argument("uris", type=Path)
    parser.add_argument("--space", required=True)
    parser.add_argument("--searcher", default=os.environ.get("LOOKALIKE_SEARCHER", "localhost:50052"))
    asyncio.run(run(parser.parse_args()))
