"""Learn an embedding space from what a project's products show."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from lookalike._operations import vectors
from lookalike.client.base import BaseClient
from lookalike.errors import PreconditionError
from lookalike.records import Adaptation, ImageVector


class AdaptationMethods(BaseClient):
    """These are the methods of `Client` that learn a derived space from a project's vectors."""

    async def export_vectors(
        self, project: str, *, space: str | None = None, fraction: float = 1.0
    ) -> AsyncGenerator[ImageVector, None]:
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
        export = vectors.read(self._call(), project, space or "", fraction)
        async with aclosing(export) as image_vectors:
            async for image_vector in image_vectors:
                yield image_vector

    async def adapt(
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
        try:
            from lookalike.adapt.run import Signals, adapt
        except ModuleNotFoundError as error:
            message = "adapt: needs the extra `adapt`: pip install 'lookalike[adapt]'"
            raise PreconditionError(message, reason="NOT_INSTALLED") from error
        signals = Signals(label, tell_variants_apart, copies, unlabelled)
        return await adapt(self._call(), project, signals, publish=publish, seed=seed)
