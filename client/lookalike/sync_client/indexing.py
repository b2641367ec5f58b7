"""Index images into a project, and keep it as its source is.

`tools/sync_client.py` writes this from `client/indexing.py`.
"""

from collections.abc import Generator, Iterable

from lookalike.fetch import DEFAULT_SETTINGS, Settings
from lookalike.indexing import Items, Plan, Seen, Shard, Watch
from lookalike.records import Item, Outcome, Reference, SyncResult
from lookalike.sync_client.base import BaseClient


class IndexingMethods(BaseClient):
    """These are the methods of `SyncClient` that fill a project, and compare it with its source."""

    def index(
        self, project: str, items: Items, *, fetch: Settings = DEFAULT_SETTINGS, watch: Watch | None = None
    ) -> Generator[Outcome, None, None]:
        """Embed and store items of any number; yield an outcome for each as it is acknowledged, in no set order.

        What the project holds already, by content, is not embedded again; a run that was interrupted can simply be
        repeated. A project with several spaces is filled in the embedder's: images without a vector there are embedded.
        A bounded number of items is in flight, and a caller who is slow to take outcomes slows the run down;
        one who stops early closes the generator (`contextlib.aclosing`). A server may be away for a minute.

        A sync iterable is advanced on the event loop, so it should not block for long. Items of one run that name the
        same reference should be alike: which of them is stored last is not set.

        An item without an image is fetched from its uri; that of a file, or from a host that tells when its images
        change, is not even read again while it is the one that was indexed. Images of a host that is down are put off
        until it is back; how long it may be away, and all else of fetching, say the settings.

        Args:
            project: the project's name.
            items: what to index.
            fetch: how images are fetched.
            watch: is told what the run is doing.

        Raises:
            NotFoundError: there is no such project.
            PreconditionError: the embedder's space is none of the project's.
            LookalikeError: a server stayed away, or failed; items without an outcome may or may not be stored.
        """
        loop, client = self._client()
        return loop.iterate(lambda: client.index(project, items, fetch=fetch, watch=watch))

    def plan_index(
        self, project: str, items: Items, *, fetch: Settings = DEFAULT_SETTINGS
    ) -> Generator[Plan, None, None]:
        """Yield what `index` would do with each item, in their order. No image is read, and nothing is stored.

        Raises:
            NotFoundError: there is no such project.
            PreconditionError: the embedder's space is none of the project's.
        """
        loop, client = self._client()
        return loop.iterate(lambda: client.plan_index(project, items, fetch=fetch))

    def unseen_references(
        self, project: str, seen: Seen, *, within: str = "", shard: Shard | None = None
    ) -> Generator[list[Reference], None, None]:
        """Yield, some at a time, the project's references that a manifest does not have: those that were not `seen`.

        Args:
            project: the project's name.
            seen: the manifest's items.
            within: only references whose URIs begin so.
            shard: only those of this share.

        Raises:
            NotFoundError: there is no such project.
        """
        loop, client = self._client()
        return loop.iterate(lambda: client.unseen_references(project, seen, within=within, shard=shard))

    def sync_product(self, project: str, product: str, items: Iterable[Item]) -> SyncResult:
        """Make a product show exactly these images, in one transaction: all its other references are deleted.

        What the project holds already is not embedded again. If an answer is lost, the searcher is asked again, and the
        result is the second answer's.

        Args:
            project: the project's name.
            product: 1 to 256 bytes.
            items: at most 1,000, their product empty or the same; none empties the product.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: an image is not accepted, or a field breaks a rule; `metadata` has the item's uri.
            UnreadableImageError: a file cannot be read; likewise.
            PreconditionError: the embedder's space is none of the project's, or not the one that serves.
            QuotaExceededError: the project would hold more images than it may.
        """
        loop, client = self._client()
        return loop.call(client.sync_product(project, product, items))
