"""Ask the embedder for its model and for vectors.

`tools/sync_client.py` writes this from `client/embedding.py`.
"""

from pathlib import Path

from lookalike.records import Embedding, Model
from lookalike.sync_client.base import BaseClient


class EmbeddingMethods(BaseClient):
    """These are the methods of `SyncClient` that ask the embedder alone."""

    def model(self) -> Model:
        """Return the embedder's model: its space, limits and precision."""
        loop, client = self._client()
        return loop.call(client.model())

    def embed(self, image: bytes | Path, *, fingerprint: bool = False, views: bool = False) -> Embedding:
        """Return the vector of one image.

        Args:
            image: the bytes of an image file, or the path of one.
            fingerprint: whether to make a fingerprint too, with which copies are proven: see `verify` of `search`.
            views: whether to embed views of it too, ten times the work: see `thorough` of `search`.

        Raises:
            InvalidRequestError: the image is not one that the embedder accepts; `reason` says why.
            OverloadedError: the embedder's queue is full.
        """
        loop, client = self._client()
        return loop.call(client.embed(image, fingerprint=fingerprint, views=views))

    def embed_text(self, text: str) -> Embedding:
        """Return the vector of a text, which lives in the space of the images; see `Model.text_encoder`.

        Raises:
            PreconditionError: the embedder's model has no text encoder.
            InvalidRequestError: the text is empty or too long; `reason` says which.
            OverloadedError: the embedder's queue is full.
        """
        loop, client = self._client()
        return loop.call(client.embed_text(text))
