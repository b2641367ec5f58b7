"""Print what `lookalike duplicates` finds, and below it, on standard error, how far it has come."""

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from lookalike.cli.common import MATCH_STYLES, console, counted, errors, format_places, format_products
from lookalike.cli.json_output import print_json
from lookalike.cli.table import print_table, table
from lookalike.escape import escape
from lookalike.proofs.words import words
from lookalike.records import DuplicateCluster, DuplicateImage, DuplicateProgress, MatchBasis, MergeResult, PairCounts

_HASH_DIGITS = 12
"""So much of a hash is shown where a person has to tell images of one cluster apart."""


class Screen:
    """Print the clusters, and below them, on standard error, the progress of the search.

    Args:
        as_json: each cluster is a line of JSON.
        verify: whether pairs are to be verified.
    """

    def __init__(self, *, as_json: bool, verify: bool) -> None:
        self.not_merged = 0
        """So many images of clusters were left, as nothing proves that they are copies, or they are not listed."""
        self._as_json = as_json
        self._verify = verify
        self._count = 0
        self._merged = MergeResult(0, 0)
        self._has_merged = self._is_dry_run = False
        self._last: DuplicateProgress | None = None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=errors,
            disable=not errors.is_terminal,
            transient=True,
            redirect_stdout=False,
        )
        self._task = self._bar.add_task("examining", total=None)

    def __enter__(self) -> None:
        """Start to show the progress."""
        self._bar.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Print a summary; if the search did not end, print how to resume it."""
        self._bar.stop()
        if kind is not None and self._last:
            errors.print(f"to go on from here: --resume {self._last.resume_token}", soft_wrap=True)
        elif kind is None:
            self._summarise()

    def progress(self, progress: DuplicateProgress) -> None:
        """Show how far the search has come."""
        self._last = progress
        pairs = progress.pairs
        is_verifying = progress.examined_count >= progress.image_count and pairs.verified_count
        verified = f"verified {pairs.verified_count:,} of at most {pairs.near_count:,} pairs"
        what = verified if is_verifying else "examining"
        self._bar.update(self._task, description=what, completed=progress.examined_count, total=progress.image_count)

    def cluster(self, cluster: DuplicateCluster) -> None:
        """Print a cluster that was found."""
        self._count += 1
        self._bar.stop()  # standard output and standard error may be the same terminal
        if self._as_json:
            print_json(cluster)
        elif cluster.image_count == 1:
            _print_file(cluster.images[0])
        else:
            _print(cluster)
        self._bar.start()

    def merged(self, result: MergeResult, *, dry_run: bool) -> None:
        """Count what was merged, or would be."""
        self._has_merged, self._is_dry_run = True, dry_run
        self._merged = MergeResult(
            self._merged.moved_reference_count + result.moved_reference_count,
            self._merged.deleted_image_count + result.deleted_image_count,
        )

    def _summarise(self) -> None:
        if not self._as_json:
            images = f" among {counted(self._last.image_count, 'image')}" if self._last else ""
            console.print(f"{counted(self._count, 'cluster')}{images}")
        if self._last and self._verify:
            for sentence in _sentences(self._last.pairs):
                errors.print(sentence, soft_wrap=True)
        if self._has_merged or self.not_merged:
            would = "would be " if self._is_dry_run else ""
            errors.print(
                f"images {would}deleted: {self._merged.deleted_image_count:,};"
                f" references {would}moved: {self._merged.moved_reference_count:,}"
            )
        if self.not_merged:
            errors.print(f"{self.not_merged:,} images of the clusters stay: nothing proves that they are copies")


def _sentences(pairs: PairCounts) -> list[str]:
    """Return what is to be said of the pairs, so that nobody takes for verified what was not."""
    said = [f"{pairs.verified_count:,} pairs were verified, {pairs.proven_count:,} of them proven to be copies"]
    if pairs.recoloured_count:
        said.append(f"{pairs.recoloured_count:,} of them show the same photo in other colours (see --recoloured)")
    if pairs.cosine_count:
        said.append(
            f"{pairs.cosine_count:,} pairs were told by their similarity, as there is no fingerprint or too little to"
            " see (`lookalike index --reread` adds fingerprints to images of before)"
        )
    if pairs.unverified_count:
        said.append(
            f"{pairs.unverified_count:,} pairs were not verified, as there were too many, and count as no duplicates:"
            " narrow the search by filters, or raise --min-similarity"
        )
    if pairs.dismissed_count:
        said.append(f"{pairs.dismissed_count:,} pairs were left out, as somebody said that they are no duplicates")
    return said


def _print_file(member: DuplicateImage) -> None:
    """Print a file that is used in several places, in one line."""
    image = member.image
    products = f" by {counted(member.product_count, 'product')}" if member.product_count else ""
    places = escape(", ".join(reference.uri for reference in image.references[:2]))
    more = ", …" if image.reference_count > 2 else ""
    text = Text(f"used in {counted(image.reference_count, 'place')}{products}: ", "bold")
    console.print(text.append(f"{image.sha256[:_HASH_DIGITS]} {places}{more}", "not bold"), soft_wrap=True)


def _print(cluster: DuplicateCluster) -> None:
    console.print(f"{counted(cluster.image_count, 'image')}; keep the first ({cluster.keep})", style="bold")
    shown = table(("similarity", "match", "what was done", "pixels", "bytes", "indexed", "places", "product", "where"))
    shown.show_header = False
    for member in cluster.images:
        image = member.image
        shown.add_row(
            f"{member.similarity:.4f}",
            Text(member.match, MATCH_STYLES[member.match]),
            _done(member, cluster),
            f"{image.width}x{image.height}" if image.width else "",
            f"{image.file_size:,} B" if image.file_size else "",
            f"{image.create_time:%Y-%m-%d}",
            f"used {image.reference_count:,}x",
            format_products(image.references),
            format_places(image.references, image.reference_count),
        )
    print_table(shown)


def _done(member: DuplicateImage, cluster: DuplicateCluster) -> str:
    """Return what was done to the nearest fellow, which is named where there are several."""
    of = f" (of {member.nearest_sha256[:_HASH_DIGITS]})" if cluster.image_count > 2 and member.nearest_sha256 else ""
    if member.proof:
        return words(member.proof) + of
    return "" if member.match_basis is MatchBasis.FINGERPRINT else f"by {member.match_basis}"
