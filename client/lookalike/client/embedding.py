"""Ask the embedder for its model and for vectors."""

import asyncio
from pathlib import Path

from lookalike._operations import decode, embedding, photo
from lookalike.client.base import BaseClient
from lookalike.records import Embedding, Model


class EmbeddingMethods(BaseClient):
    """These are the methods of `Client` that ask the embedder alone."""

    async def model(self) -> Model:
        """Return the embedder's model: its space, limits and precision."""
        return await embedding.model(self._call())

    async def embed(self, image: bytes | Path, *, fingerprint: bool = False, views: bool = False) -> Embedding:
        """Return the vector of one image.

        Args:
            image: the bytes of an image file, or the path of one.
            fingerprint: whether to make a fingerprint too, with which copies are proven: see `verify` of `search`.
            views: whether to embed views of it too, ten times the work: see `thorough` of `search`.

        Raises:
            InvalidRequestError: the image is not one that the embedder accepts; `reason` says why.
            OverloadedError: the embedder's queue is full.
        """
        data = await asyncio.to_thread(photo.read, image)
        return decode.embedded(await embedding.embed(self._call(), data, fingerprint=fingerprint, views=views))

    async def embed_text(self, text: str) -> Embedding:
        """Return the vector of a text, which lives in the space of the images; see `Model.text_encoder`.

        Raises:
            PreconditionError: the embedder's model has no text encoder.
            InvalidRequestError: the text is empty or too long; `reason` says which.
            OverloadedError: the embedder's queue is full.
        """
        return decode.embedding((await embedding.embed_text(self._call(), text)).embedding)
