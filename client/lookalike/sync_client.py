"""The client for code that has no event loop: Django, Flask, Celery, notebooks.

`tools/sync_client.py` writes this from `client.py`.
"""

import atexit
import os
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from lookalike._blocking import LoopThread
from lookalike.client import DEFAULT_EMBED_STREAMS, DEFAULT_EMBEDDER, DEFAULT_SEARCHER, Client
from lookalike.credentials import Credentials
from lookalike.errors import LookalikeError
from lookalike.fetch import Settings
from lookalike.indexing import Items, Plan, Seen, Shard, Watch
from lookalike.records import (
    Adaptation,
    DeleteResult,
    Dismissal,
    DismissalPage,
    DuplicateCluster,
    DuplicateProgress,
    Embedding,
    Example,
    Feedback,
    Filling,
    Filter,
    HitVerdict,
    Image,
    ImagePage,
    ImageVector,
    Item,
    KeepRule,
    Limits,
    MergeResult,
    Model,
    Outcome,
    Project,
    Projection,
    ProjectPage,
    Query,
    Reference,
    SearchQuality,
    SearchResult,
    SpaceComparison,
    Suspect,
    SyncResult,
    TuningPolicy,
)
from lookalike.records.search import DEFAULT_LIMIT

_FETCH: Final = Settings()
_HEALTH_SECONDS: Final = 3.0


class SyncClient:
    """`Client` with methods that block. It may be used from several threads, and at the module level.

    All calls run on one event loop in a thread of its own, which begins with the first call. After a fork the child has
    a loop and connections of its own. What is iterated over runs one step ahead of the caller; the items of `index` are
    read in the client's thread.

    Args: see `Client`.
    """

    def __init__(
        self,
        embedder: str = DEFAULT_EMBEDDER,
        searcher: str = DEFAULT_SEARCHER,
        *,
        timeout: float = 30.0,
        embed_streams: int = DEFAULT_EMBED_STREAMS,
        credentials: Credentials | None = None,
    ) -> None:
        def make() -> Client:
            return Client(embedder, searcher, timeout=timeout, embed_streams=embed_streams, credentials=credentials)

        self._make = make
        make()  # says at once what is wrong with the arguments
        self._lock = threading.Lock()
        self._running: tuple[int, LoopThread, Client] | None = None

    @classmethod
    def from_env(cls, *, timeout: float = 30.0, embed_streams: int = DEFAULT_EMBED_STREAMS) -> Self:
        """Return a client for the servers that LOOKALIKE_EMBEDDER and LOOKALIKE_SEARCHER name, else on this machine."""
        return cls(
            os.environ.get("LOOKALIKE_EMBEDDER") or DEFAULT_EMBEDDER,
            os.environ.get("LOOKALIKE_SEARCHER") or DEFAULT_SEARCHER,
            timeout=timeout,
            embed_streams=embed_streams,
        )

    def __enter__(self) -> Self:
        """Nothing is connected before the first call."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections, and end the thread; what is in flight is cancelled. A later call begins again."""
        with self._lock:
            running, self._running = self._running, None
        if running and running[0] == os.getpid():
            atexit.unregister(self.close)
            running[1].call(running[2].close())
            running[1].stop()

    def _client(self) -> tuple[LoopThread, Client]:
        with self._lock:
            if self._running is None or self._running[0] != os.getpid():
                self._running = (os.getpid(), LoopThread(), self._make())
                atexit.register(self.close)
            return self._running[1:]

    def health(self) -> tuple[bool, bool]:
        """Say whether the embedder, and the searcher, serve by their own account: what probes ask, without a token.

        Each has three seconds to say so, whatever the other does.
        """
        loop, client = self._client()
        return loop.call(client.health())

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

    def create_project(
        self,
        name: str,
        *,
        space: str | None = None,
        dimensions: int | None = None,
        limits: Limits | None = None,
        tuning_policy: TuningPolicy | None = None,
    ) -> Project:
        """Create a project, empty at first.

        Args:
            name: 1 to 63 lower-case letters, digits, `-` or `_`, beginning with a letter or digit.
            space: the embedding space of its vectors; the embedder's own if it is left out.
            dimensions: how many numbers each vector of the space has, 1 to 4,000; if it is left out, as many as the
                embedder's, or 512 if a space is given.
            limits: what it may hold and ask for; the server's own limits if it is left out.
            tuning_policy: how far the searcher may tune it by itself; the searcher's own if it is left out.

        Raises:
            AlreadyExistsError: there is one of that name.
            InvalidRequestError: the name, the space, its dimensions or a limit breaks a rule.
        """
        loop, client = self._client()
        return loop.call(
            client.create_project(name, space=space, dimensions=dimensions, limits=limits, tuning_policy=tuning_policy)
        )

    def get_project(self, name: str) -> Project:
        """Return the project of that name, with the state of its spaces. Raises NotFoundError."""
        loop, client = self._client()
        return loop.call(client.get_project(name))

    def list_projects(self) -> Generator[Project, None, None]:
        """Yield all projects by name, without their spaces, fetching page after page."""
        loop, client = self._client()
        return loop.iterate(lambda: client.list_projects())

    def project_page(self, *, page_size: int = 100, page_token: str = "") -> ProjectPage:
        """One page of the projects by name, without their spaces, for whoever shows them page by page.

        Args:
            page_size: the most projects; more than 1,000 means 1,000.
            page_token: where to go on: the `next_page_token` of the page before; empty for the first one.

        Raises:
            InvalidRequestError: page_size is negative, or page_token is none of ours.
        """
        loop, client = self._client()
        return loop.call(client.project_page(page_size=page_size, page_token=page_token))

    def update_project(
        self,
        name: str,
        *,
        limits: Limits | None = None,
        search_enabled: bool | None = None,
        fingerprints_enabled: bool | None = None,
        tuning_policy: TuningPolicy | None = None,
        accept_space: str = "",
    ) -> Project:
        """Change a project: what is left out stays.

        Args:
            name: the project's name.
            limits: its new limits, all of them.
            search_enabled: whether it can be searched; if not, searches raise PreconditionError, SEARCH_DISABLED.
            fingerprints_enabled: whether fingerprints of its images are made and stored; those of before stay.
            tuning_policy: how far the searcher may tune it by itself.
            accept_space: the space that the searcher proposes, see `Tuning.space`: it is built, and serves then.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: a limit is out of range, or nothing is to be changed.
            PreconditionError: the space is not proposed.
        """
        loop, client = self._client()
        return loop.call(
            client.update_project(
                name,
                limits=limits,
                search_enabled=search_enabled,
                fingerprints_enabled=fingerprints_enabled,
                tuning_policy=tuning_policy,
                accept_space=accept_space,
            )
        )

    def delete_project(self, name: str) -> None:
        """Delete a project with all its images. It cannot be undone. Raises NotFoundError."""
        loop, client = self._client()
        return loop.call(client.delete_project(name))

    def create_space(
        self,
        project: str,
        space: str | None = None,
        *,
        dimensions: int | None = None,
        projection: Projection | None = None,
    ) -> Project:
        """Add a second space to a project, for a new model, to be filled by `index` while the first one serves.

        Args:
            project: the project's name.
            space: the embedding space; the embedder's own if it is left out.
            dimensions: how many numbers each of its vectors has; see `create_project`. A derived space has as many as
                the projection's matrix has rows.
            projection: derives the space from another one of the project, by which the searcher fills it.

        Raises:
            NotFoundError: there is no such project, or it has no such source.
            AlreadyExistsError: it has such a space.
            InvalidRequestError: the space, its dimensions or the projection breaks a rule.
            PreconditionError: the projection's source is derived itself.
        """
        loop, client = self._client()
        return loop.call(client.create_space(project, space, dimensions=dimensions, projection=projection))

    def watch_space(self, project: str, space: str) -> Generator[Filling, None, None]:
        """Yield how far a derived space is, until it is filled, and its index, where one is due, is ready.

        Raises:
            NotFoundError: there is no such project, or it has no such derived space.
        """
        loop, client = self._client()
        return loop.iterate(lambda: client.watch_space(project, space))

    def export_vectors(
        self, project: str, *, space: str | None = None, fraction: float = 1.0
    ) -> Generator[ImageVector, None, None]:
        """Yield a project's vectors in the order in which their images were first indexed, to learn from them.

        The searcher may be away for a minute. One who stops early closes the generator (`contextlib.aclosing`).

        Args:
            project: the project's name.
            space: which ones; None: those that writers send, of the space that serves or its source.
            fraction: which share of the products, above 0 to 1, with all of their images; the same ones each time.

        Raises:
            NotFoundError: there is no such project or space.
            InvalidRequestError: fraction is out of range.
        """
        loop, client = self._client()
        return loop.iterate(lambda: client.export_vectors(project, space=space, fraction=fraction))

    def adapt(
        self,
        project: str,
        *,
        label: str = "",
        tell_variants_apart: bool = False,
        copies: bool = False,
        unlabelled: bool = False,
        publish: bool = True,
        seed: int = 0,
    ) -> Adaptation:
        """Learn a space of the shop's own from the products of its images, measure it, and publish it if it helps.

        It is learned from two thirds of the products that have two or more images, measured on the others, and then
        learned again from all. No photo is read. What is published is filled by the searcher, see `watch_space`, and
        does not serve before `cut_over_space`. Needs the extra `adapt`, some 500 MB, and seconds to minutes.

        Args:
            project: the project's name.
            label: images without a product of two or more images are grouped by the values of this label, which then
                stand for products; empty: by none.
            tell_variants_apart: whether variants of a product are learned to be told apart. Otherwise they are alike.
            copies: whether images and what fingerprints prove to be their copies are alike; see `find_duplicates`,
                which takes its time.
            unlabelled: learn without products (PCA whitening), which cannot be measured, and is always published.
            publish: whether to publish what helps, or only to measure.
            seed: chooses the products that are held out.

        Raises:
            NotFoundError: there is no such project.
            PreconditionError: it has too few products of two or more images, or numpy is not installed.
        """
        loop, client = self._client()
        return loop.call(
            client.adapt(
                project,
                label=label,
                tell_variants_apart=tell_variants_apart,
                copies=copies,
                unlabelled=unlabelled,
                publish=publish,
                seed=seed,
            )
        )

    def compare_spaces(
        self, project: str, space: str, *, sample_size: int = 100, limit: int = DEFAULT_LIMIT
    ) -> SpaceComparison:
        """Search for sampled images of the project in a space and in the one that serves, and compare the answers.

        Args:
            project: the project's name.
            space: the other space.
            sample_size: how many images to search for, 1 to 1,000, of those that have a vector in both.
            limit: how many hits of each search to compare, 1 to 100.

        Raises:
            NotFoundError: there is no such project or space.
            InvalidRequestError: a number is out of range.
        """
        loop, client = self._client()
        return loop.call(client.compare_spaces(project, space, sample_size=sample_size, limit=limit))

    def cut_over_space(self, project: str, space: str, *, allow_incomplete: bool = False) -> Project:
        """Make another space the one that serves, atomically. The old one is kept: cutting over to it is the way back.

        Args:
            project: the project's name.
            space: the space that is to serve.
            allow_incomplete: cut over although images have no vector in it, and so are not found, or its index is not
                ready.

        Raises:
            NotFoundError: there is no such project or space.
            PreconditionError: the space is incomplete.
        """
        loop, client = self._client()
        return loop.call(client.cut_over_space(project, space, allow_incomplete=allow_incomplete))

    def delete_space(self, project: str, space: str) -> Project:
        """Delete a space that does not serve, with its vectors. It cannot be undone.

        Raises:
            NotFoundError: there is no such project or space.
            PreconditionError: it serves.
        """
        loop, client = self._client()
        return loop.call(client.delete_space(project, space))

    def check_images(self, project: str, sha256s: Sequence[bytes], *, space: str | None = None) -> set[bytes]:
        """Return those of the image files with these hashes (32 bytes each, at most 10,000) that the project holds.

        With a space, those of them that have a vector in it. Raises NotFoundError.
        """
        loop, client = self._client()
        return loop.call(client.check_images(project, sha256s, space=space))

    def get_image(self, project: str, *, sha256: str | None = None, uri: str | None = None) -> Image:
        """Return the image with this hash, in hexadecimal, or at this URI; of several there, the newest reference's.

        Raises:
            NotFoundError: there is no such project, or no such image in it.
            ValueError: not exactly one of sha256 and uri was given.
        """
        loop, client = self._client()
        return loop.call(client.get_image(project, sha256=sha256, uri=uri))

    def get_thumbnail(self, project: str, sha256: str) -> bytes:
        """Return a small picture of the image with this hash, a WebP of at most 160 pixels a side: its fingerprint's.

        It is empty if the image has no fingerprint.

        Raises:
            NotFoundError: there is no such project, or no such image in it.
        """
        loop, client = self._client()
        return loop.call(client.get_thumbnail(project, sha256))

    def list_images(
        self, project: str, *, filter: Filter | None = None, missing_in_space: str | None = None
    ) -> Generator[Image, None, None]:
        """Yield a project's images in the order in which they were first indexed, fetching page after page.

        Images that are indexed meanwhile come later; none comes twice.

        Args:
            project: the project's name.
            filter: which images; None: all.
            missing_in_space: only those without a vector in this space: what is left to be embedded by a new model.

        Raises:
            NotFoundError: there is no such project or space.
            InvalidRequestError: the filter breaks a rule.
        """
        loop, client = self._client()
        return loop.iterate(lambda: client.list_images(project, filter=filter, missing_in_space=missing_in_space))

    def image_page(
        self, project: str, *, filter: Filter | None = None, page_size: int = 100, page_token: str = ""
    ) -> ImagePage:
        """Return one page of what `list_images` yields, for programs that show it page by page.

        Args:
            project: the project's name.
            filter: which images; None: all.
            page_size: the most images; more than 1,000 means 1,000.
            page_token: where to go on: the `next_page_token` of the page before; empty for the first one. All else
                stays the same.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: the filter breaks a rule, page_size is negative, or page_token is of another list.
        """
        loop, client = self._client()
        return loop.call(client.image_page(project, filter=filter, page_size=page_size, page_token=page_token))

    def delete_images(
        self,
        project: str,
        *,
        uris: str | Sequence[str] = (),
        products: str | Sequence[str] = (),
        sha256s: str | Sequence[str] = (),
    ) -> DeleteResult:
        """Delete references, and images that have lost their last one, in one transaction. It cannot be undone.

        What is not there is no error. If an answer is lost, the searcher is asked again, and the counts are the second
        answer's.

        Args:
            project: the project's name.
            uris: references with these URIs, of all products.
            products: all references of these products.
            sha256s: images with these hashes, in hexadecimal, with all their references. At most 1,000 names in all.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: nothing is named, too much, or something that breaks a rule.
        """
        loop, client = self._client()
        return loop.call(client.delete_images(project, uris=uris, products=products, sha256s=sha256s))

    def index(
        self, project: str, items: Items, *, fetch: Settings = _FETCH, watch: Watch | None = None
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

    def plan_index(self, project: str, items: Items, *, fetch: Settings = _FETCH) -> Generator[Plan, None, None]:
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

    def delete_references(self, project: str, references: Sequence[Reference]) -> DeleteResult:
        """Delete exactly these references, at most 1,000; with them, images that lose their last one.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: there are none, or too many.
        """
        loop, client = self._client()
        return loop.call(client.delete_references(project, references))

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

    def search(
        self,
        project: str,
        *,
        image: bytes | Path | None = None,
        text: str | None = None,
        sha256: str | None = None,
        uri: str | None = None,
        embedding: Embedding | None = None,
        positives: Sequence[Example] = (),
        negatives: Sequence[Example] = (),
        limit: int = DEFAULT_LIMIT,
        filter: Filter | None = None,
        min_similarity: float | None = None,
        page_token: str = "",
        group_by_product: bool = False,
        exact: bool = False,
        space: str | None = None,
        rerank: int | Literal["auto"] = 0,
        verify: int = 0,
        thorough: bool = False,
    ) -> SearchResult:
        """Find the project's images most similar to an image, a text, an image of the project, a vector, or examples.

        The arguments are those of `Query`, which has their ranges.

        Raises:
            NotFoundError: there is no such project or space, or an image that the query names is not in it.
            InvalidRequestError: an image is not accepted, or a field breaks a rule.
            PreconditionError: the vector is of another space than the searched one, or the model has no text encoder.
            QuotaExceededError: the project's searches come too fast, or ask for too many hits.
            ValueError: not exactly one query was given, or negatives without positives.
        """
        loop, client = self._client()
        return loop.call(
            client.search(
                project,
                image=image,
                text=text,
                sha256=sha256,
                uri=uri,
                embedding=embedding,
                positives=positives,
                negatives=negatives,
                limit=limit,
                filter=filter,
                min_similarity=min_similarity,
                page_token=page_token,
                group_by_product=group_by_product,
                exact=exact,
                space=space,
                rerank=rerank,
                verify=verify,
                thorough=thorough,
            )
        )

    def search_pages(self, project: str, query: Query) -> Generator[SearchResult, None, None]:
        """Yield the answer to a search page after page, of `query.limit` hits each. Raises as `search`.

        What has to be embedded is embedded once. A page begins after the last hit of the one before, in the order of
        similarity, whatever changed meanwhile; pages that are re-ranked are ranked anew, see `Query.rerank`.
        """
        loop, client = self._client()
        return loop.iterate(lambda: client.search_pages(project, query))

    def search_batch(self, project: str, queries: Sequence[Query]) -> list[SearchResult | LookalikeError]:
        """The answers to 1 to 100 searches in their order; in the place of one that failed, its error.

        Raises:
            InvalidRequestError: there are no queries, or too many.
            LookalikeError: the searcher cannot be reached, or failed.
        """
        loop, client = self._client()
        return loop.call(client.search_batch(project, queries))

    def find_copies(
        self, project: str, items: Items, *, candidates: int = 20, thorough: bool = True, fetch: Settings = _FETCH
    ) -> Generator[Suspect, None, None]:
        """Yield, for each of these pictures and in their order, which of the project's photos it is a copy of.

        Of an item only the picture counts, and the uri that names it. What is not among the nearest photos is not
        found. A server may be away for a minute. One who stops early closes the generator (`contextlib.aclosing`).

        Args:
            project: the project's name.
            items: the suspicious pictures.
            candidates: how many of the nearest photos each one is compared with, and how many copies of it are told at
                most, 1 to 100. A thorough search compares further photos.
            thorough: whether what is nearest to views of each one is compared too; see `Query`.
            fetch: how pictures are fetched.

        Raises:
            NotFoundError: there is no such project.
            PreconditionError: the embedder's space is none of the project's.
            LookalikeError: a server stayed away, or failed.
        """
        loop, client = self._client()
        return loop.iterate(
            lambda: client.find_copies(project, items, candidates=candidates, thorough=thorough, fetch=fetch)
        )

    def record_feedback(
        self,
        project: str,
        search_id: str,
        verdicts: Sequence[HitVerdict],
        *,
        sha256: str | None = None,
        uri: str | None = None,
        embedding: Embedding | None = None,
    ) -> int:
        """Say which hits of a search were right, wrong or clicked; how many of the verdicts were new.

        The same again changes nothing; a later RIGHT or WRONG on a hit replaces the earlier one; clicks stay.
        What was searched for is stored only if it is named here, which it must be to be learnt from.

        Args:
            project: the project's name.
            search_id: of the search's result.
            verdicts: 1 to 100.
            sha256: the hash, in hexadecimal, of the query's file.
            uri: instead of it, where the query, an image of the project, is used.
            embedding: the query's vector; not needed if the query is an image of the project.

        Raises:
            NotFoundError: there is no such project, or no image at the uri.
            InvalidRequestError: a field breaks a rule, or the search was another project's, or too long ago.
            PreconditionError: the vector is of no space of the project.
            QuotaExceededError: the project, or the search, has as much feedback as it may.
        """
        loop, client = self._client()
        return loop.call(
            client.record_feedback(project, search_id, verdicts, sha256=sha256, uri=uri, embedding=embedding)
        )

    def list_feedback(self, project: str) -> Generator[Feedback, None, None]:
        """Yield a project's feedback, search by search, in the order in which they first got any.

        Searches that get their first meanwhile come later; none comes twice. Raises NotFoundError.
        """
        loop, client = self._client()
        return loop.iterate(lambda: client.list_feedback(project))

    def delete_feedback(
        self, project: str, *, search_ids: str | Sequence[str] = (), before: datetime | None = None
    ) -> int:
        """Delete the feedback on searches, with their queries' vectors; on how many. It cannot be undone.

        Args:
            project: the project's name.
            search_ids: on these, at most 1,000; what is not there is no error.
            before: on all that were made before this time.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: nothing is named, or what is none of ours.
        """
        loop, client = self._client()
        return loop.call(client.delete_feedback(project, search_ids=search_ids, before=before))

    def search_quality(self, project: str, *, days: int = 7) -> SearchQuality:
        """Return how good the searches of the last 1 to 365 days were, the present one (in UTC) included.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: days is out of range.
        """
        loop, client = self._client()
        return loop.call(client.search_quality(project, days=days))

    def find_duplicates(
        self,
        project: str,
        *,
        min_similarity: float | None = None,
        same_file_only: bool = False,
        verify: bool = True,
        filter: Filter | None = None,
        other: Filter | None = None,
        rest: bool = False,
        across_products: bool = False,
        newer_than: datetime | None = None,
        keep: KeepRule = KeepRule.LARGEST,
        recoloured: bool = False,
        resume_token: str = "",
        on_progress: Callable[[DuplicateProgress], object] | None = None,
    ) -> Generator[DuplicateCluster, None, None]:
        """Yield clusters of the project's images that are duplicates of one another, by their earliest image.

        A cluster is what near pairs connect: those whose fingerprints prove it, or, where there are none, whose cosine
        tells. Clusters come once all pairs are known. The searcher may be away for a minute: the search goes on where
        it was. To go on in another process, keep the last cluster's `progress.resume_token`. One who stops early closes
        the generator (`contextlib.aclosing`).

        Args:
            project: the project's name.
            min_similarity: of near duplicates, 0.5 to 1; None: the threshold of `Match.NEAR_DUPLICATE` where the cosine
                alone tells, and 0.9 for pairs that are verified.
            same_file_only: only files that are used in several places: no vectors are compared.
            verify: whether fingerprints are compared, so that only proven copies are duplicates.
            filter: only images that pass.
            other: only pairs of an image that passes `filter` with one that passes this.
            rest: only pairs of an image that passes `filter`, which is required then, with one that does not.
            across_products: only pairs of images that show different products.
            newer_than: only pairs of which at least one was first indexed at this time or later. A time without a zone
                is in UTC.
            keep: by which rule each cluster's first image is suggested to be kept.
            recoloured: whether the same photo in other colours is a duplicate, too, where pairs are verified.
            resume_token: where to go on; all else stays the same. Empty: at the beginning.
            on_progress: is told how far it has come, also while nothing is found.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: min_similarity is out of range, or resume_token is of another search.
            LookalikeError: the searcher stayed away, or failed.
        """
        loop, client = self._client()
        return loop.iterate(
            lambda: client.find_duplicates(
                project,
                min_similarity=min_similarity,
                same_file_only=same_file_only,
                verify=verify,
                filter=filter,
                other=other,
                rest=rest,
                across_products=across_products,
                newer_than=newer_than,
                keep=keep,
                recoloured=recoloured,
                resume_token=resume_token,
                on_progress=on_progress,
            )
        )

    def merge_duplicates(
        self, project: str, keep: str, sha256s: Sequence[str], *, dry_run: bool = False
    ) -> MergeResult:
        """Move the references of duplicates to the image that is kept, and delete the duplicates, in one transaction.

        Sent again, it changes nothing more.

        Args:
            project: the project's name.
            keep: the hash of the image that is kept, in hexadecimal.
            sha256s: the hashes of its duplicates: 1 to 1,000.
            dry_run: only say what would be done.

        Raises:
            NotFoundError: there is no such project, or the image that is to be kept is not in it.
            InvalidRequestError: a hash is none, or the kept image is among the duplicates.
        """
        loop, client = self._client()
        return loop.call(client.merge_duplicates(project, keep, sha256s, dry_run=dry_run))

    def dismiss_duplicates(self, project: str, sha256s: Sequence[str]) -> int:
        """Say that images are no duplicates of one another; of how many pairs that is new.

        `find_duplicates` never puts the two of a pair in one cluster again.

        Args:
            project: the project's name.
            sha256s: their hashes, in hexadecimal: 2 to 100, all different.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: a hash is none, or there are too few or too many.
        """
        loop, client = self._client()
        return loop.call(client.dismiss_duplicates(project, sha256s))

    def list_dismissals(self, project: str) -> Generator[Dismissal, None, None]:
        """Yield the pairs that were said to be no duplicates, oldest first. Raises NotFoundError."""
        loop, client = self._client()
        return loop.iterate(lambda: client.list_dismissals(project))

    def dismissal_page(self, project: str, *, size: int = 100, page_token: str = "") -> DismissalPage:
        """Return one page of the pairs that were said to be no duplicates; see `list_dismissals`.

        Args:
            project: the project's name.
            size: the most dismissals, 1 to 1,000.
            page_token: `next_page_token` of the page before.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: size is out of range, or page_token is of another list.
        """
        loop, client = self._client()
        return loop.call(client.dismissal_page(project, size=size, page_token=page_token))

    def delete_dismissals(self, project: str, sha256s: Sequence[str]) -> int:
        """Take back that images are no duplicates; of how many pairs.

        Args:
            project: the project's name.
            sha256s: the hashes of the images whose pairs are meant, or of one image, for all its pairs.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: a hash is none, or there are too many.
        """
        loop, client = self._client()
        return loop.call(client.delete_dismissals(project, sha256s))
