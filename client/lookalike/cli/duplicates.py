"""Implement `lookalike duplicates`, which finds images of a project that are the same or nearly the same."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated

import typer

from lookalike.cli import filter as filters
from lookalike.cli.common import DEFAULT_SEARCHER, Searcher, Yes, run
from lookalike.cli.duplicates_screen import Screen
from lookalike.client import Client
from lookalike.records import DuplicateCluster, DuplicateImage, DuplicateProgress, KeepRule, Match, MatchBasis

_TOLD_BY_COSINE = (MatchBasis.COSINE, MatchBasis.TOO_LITTLE, MatchBasis.OTHER)

Find = Callable[[Client, Callable[[DuplicateProgress], object]], AsyncGenerator[DuplicateCluster, None]]


def duplicates(
    project: Annotated[str, typer.Argument(help="The project's name.")],
    min_similarity: Annotated[
        float | None,
        typer.Option(
            min=0.5,
            max=1,
            help="The lowest similarity of near duplicates; by default 0.9 for verified ones, else 0.95.",
        ),
    ] = None,
    same_file: Annotated[
        bool, typer.Option("--same-file", help="Show only files that are used in several places, one line each.")
    ] = False,
    verify: Annotated[
        bool, typer.Option(help="Compare fingerprints, so that only proven copies are duplicates; or trust the cosine.")
    ] = True,
    product: filters.Products = None,
    variant: filters.Variants = None,
    staged: filters.Staged = None,
    uri_prefix: filters.UriPrefix = "",
    label: filters.Labels = None,
    other_label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Only pairs of an image that the other options choose with one that has this label. Can be repeated.",
        ),
    ] = None,
    rest: Annotated[
        bool, typer.Option("--rest", help="Only pairs of an image that the other options choose with one of the rest.")
    ] = False,
    across_products: Annotated[
        bool, typer.Option("--across-products", help="Only pairs of images that show different products.")
    ] = False,
    newer_than: Annotated[
        datetime | None, typer.Option(help="Only pairs of which one was first indexed at this time, in UTC, or later.")
    ] = None,
    keep: Annotated[
        KeepRule, typer.Option(help="Which image of a cluster to keep: it comes first.")
    ] = KeepRule.LARGEST,
    recoloured: Annotated[
        bool, typer.Option("--recoloured", help="The same photo in other colours is a duplicate, too.")
    ] = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="Keep one image of each cluster: it gets the references of the others.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what --delete would do.")] = False,
    resume: Annotated[
        str, typer.Option(metavar="TOKEN", help="Resume an earlier search from the token that it printed.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print each cluster as a line of JSON.")] = False,
    searcher: Searcher = DEFAULT_SEARCHER,
    yes: Yes = False,
) -> None:
    """Show the clusters of a project's images that are duplicates of one another, or merge them."""
    chosen = filters.filter_of(product, variant, staged, uri_prefix, label)
    other = filters.filter_of(None, None, None, "", other_label)
    if dry_run and not delete:
        raise typer.BadParameter("is only for --delete", param_hint="--dry-run")
    if delete and (recoloured or same_file):
        name = "--recoloured: a colour variant is to be kept" if recoloured else "--same-file: there is one image only"
        raise typer.BadParameter(f"cannot be used with {name}", param_hint="--delete")
    if delete and not dry_run and not yes:
        typer.confirm(f"Merge the duplicates of project {project!r}?", abort=True)

    def find(client: Client, progress: Callable[[DuplicateProgress], object]) -> AsyncGenerator[DuplicateCluster, None]:
        return client.find_duplicates(
            project,
            min_similarity=min_similarity,
            same_file_only=same_file,
            verify=verify,
            filter=chosen,
            other=other,
            rest=rest,
            across_products=across_products,
            newer_than=newer_than.replace(tzinfo=UTC) if newer_than else None,
            keep=keep,
            recoloured=recoloured,
            resume_token=resume,
            on_progress=progress,
        )

    screen = Screen(as_json=as_json, verify=verify and not same_file)
    merging = _Merging(project, by_cosine=not verify, dry_run=dry_run) if delete else None
    run(_show(searcher, find, screen, merging))


class _Merging:
    """Merge the duplicates of clusters, one after the other.

    Args:
        project: the project's name.
        by_cosine: whether the cosine is enough to tell a duplicate; else it must have been proven.
        dry_run: only say what would be done.
    """

    def __init__(self, project: str, *, by_cosine: bool, dry_run: bool) -> None:
        self._project = project
        self._by_cosine = by_cosine
        self._dry_run = dry_run

    async def merge(self, client: Client, screen: Screen, cluster: DuplicateCluster) -> None:
        """Merge the cluster's other images into its first one."""
        first, *others = cluster.images
        proven = [member.image.sha256 for member in others if self._may_go(member)]
        screen.not_merged += cluster.image_count - 1 - len(proven)
        if proven:
            merged = await client.merge_duplicates(self._project, first.image.sha256, proven, dry_run=self._dry_run)
            screen.merged(merged, dry_run=self._dry_run)

    def _may_go(self, member: DuplicateImage) -> bool:
        if self._by_cosine:
            return True
        return member.match is Match.NEAR_DUPLICATE and member.match_basis not in _TOLD_BY_COSINE


async def _show(searcher: str, find: Find, screen: Screen, merging: _Merging | None) -> None:
    async with Client(searcher=searcher) as client:
        with screen:
            async with aclosing(find(client, screen.progress)) as clusters:
                async for cluster in clusters:
                    screen.cluster(cluster)
                    if merging and len(cluster.images) > 1:
                        await merging.merge(client, screen, cluster)
