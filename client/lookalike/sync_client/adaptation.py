"""Learn an embedding space from what a project's products show.

`tools/sync_client.py` writes this from `client/adaptation.py`.
"""

from collections.abc import Generator

from lookalike.records import Adaptation, ImageVector
from lookalike.sync_client.base import BaseClient


class AdaptationMethods(BaseClient):
    """These are the methods of `SyncClient` that learn a derived space from a project's vectors."""

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
