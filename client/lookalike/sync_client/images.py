"""Show what a project holds, and delete of it.

`tools/sync_client.py` writes this from `client/images.py`.
"""

from collections.abc import Generator, Sequence

from lookalike.records import DeleteResult, Filter, Image, ImagePage, Reference
from lookalike.sync_client.base import BaseClient


class ImageMethods(BaseClient):
    """These are the methods of `SyncClient` that show and delete a project's images."""

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

    def delete_references(self, project: str, references: Sequence[Reference]) -> DeleteResult:
        """Delete exactly these references, at most 1,000; with them, images that lose their last one.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: there are none, or too many.
        """
        loop, client = self._client()
        return loop.call(client.delete_references(project, references))
