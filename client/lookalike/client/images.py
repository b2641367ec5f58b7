"""Show what a project holds, and delete of it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from lookalike._operations import images
from lookalike.client.base import BaseClient
from lookalike.records import DeleteResult, Filter, Image, ImagePage, Reference


class ImageMethods(BaseClient):
    """These are the methods of `Client` that show and delete a project's images."""

    async def check_images(self, project: str, sha256s: Sequence[bytes], *, space: str | None = None) -> set[bytes]:
        """Return those of the image files with these hashes (32 bytes each, at most 10,000) that the project holds.

        With a space, those of them that have a vector in it. Raises NotFoundError.
        """
        return await images.check(self._call(), project, sha256s, space or "")

    async def get_image(self, project: str, *, sha256: str | None = None, uri: str | None = None) -> Image:
        """Return the image with this hash, in hexadecimal, or at this URI; of several there, the newest reference's.

        Raises:
            NotFoundError: there is no such project, or no such image in it.
            ValueError: not exactly one of sha256 and uri was given.
        """
        if (sha256 is None) == (uri is None):
            raise ValueError("get_image takes exactly one of sha256 and uri")
        return await images.get(self._call(), project, sha256, uri)

    async def get_thumbnail(self, project: str, sha256: str) -> bytes:
        """Return a small picture of the image with this hash, a WebP of at most 160 pixels a side: its fingerprint's.

        It is empty if the image has no fingerprint.

        Raises:
            NotFoundError: there is no such project, or no such image in it.
        """
        return await images.thumbnail(self._call(), project, sha256)

    async def list_images(
        self,
        project: str,
        *,
        filter: Filter | None = None,  # noqa: A002 - what else
        missing_in_space: str | None = None,
    ) -> AsyncGenerator[Image, None]:
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
        listed = images.list_all(self._call(), project, filter, missing_in_space)
        async with aclosing(listed):
            async for image in listed:
                yield image

    async def image_page(
        self,
        project: str,
        *,
        filter: Filter | None = None,  # noqa: A002 - what else
        page_size: int = 100,
        page_token: str = "",
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
        return await images.page(self._call(), project, filter, page_size, page_token)

    async def delete_images(
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
        return await images.delete(self._call(), project, uris, products, sha256s)

    async def delete_references(self, project: str, references: Sequence[Reference]) -> DeleteResult:
        """Delete exactly these references, at most 1,000; with them, images that lose their last one.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: there are none, or too many.
        """
        return await images.delete_references(self._call(), project, references)
