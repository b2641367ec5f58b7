"""Implement `lookalike search`, which prints the most similar images as a table or as JSON."""

from typing import Annotated, Final

import typer
from rich.text import Text

from lookalike.cli import filter as filters
from lookalike.cli.arguments import read_photo, rerank_depth
from lookalike.cli.common import (
    DEFAULT_EMBEDDER,
    DEFAULT_SEARCHER,
    MATCH_STYLES,
    Embedder,
    Searcher,
    Timeout,
    errors,
    format_places,
    format_products,
    run,
)
from lookalike.cli.json_output import print_json
from lookalike.cli.table import print_table, table
from lookalike.client import Client
from lookalike.constants import NEAR_DUPLICATE
from lookalike.proofs.words import words
from lookalike.records import Match, MatchBasis, SearchReason, SearchResult
from lookalike.records.search import DEFAULT_LIMIT

_VERIFIED: Final = 20
"""So many hits are verified unless it is said otherwise: it takes some tens of milliseconds."""
_VERIFIABLE: Final = (MatchBasis.FILE, MatchBasis.FINGERPRINT, MatchBasis.TOO_LITTLE)
_SLOW: Final = {
    SearchReason.INDEX_BUILDING: " (the index is not built yet)",
    SearchReason.FELL_BACK: " (the index found too few)",
}
"""What is said of searches that are slower than they should be."""


def search(
    project: Annotated[str, typer.Argument(help="The name of the project to search in.")],
    image: Annotated[
        str | None,
        typer.Argument(
            help="The image to search with: a file, a URL, or - for standard input.",
            metavar="IMAGE",
            show_default=False,
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help="Search with words instead, where the embedder's model has a text encoder."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most hits to show.")] = DEFAULT_LIMIT,
    product: filters.Products = None,
    variant: filters.Variants = None,
    staged: filters.Staged = None,
    uri_prefix: filters.UriPrefix = "",
    label: filters.Labels = None,
    min_similarity: Annotated[
        float | None, typer.Option(min=-1, max=1, help="The lowest similarity of hits, a cosine.")
    ] = None,
    by_product: Annotated[bool, typer.Option("--by-product", help="Rank products by their best image.")] = False,
    exact: Annotated[bool, typer.Option("--exact", help="Compare every image, without the index.")] = False,
    rerank: Annotated[
        str | None,
        typer.Option(
            metavar="auto|INTEGER",
            help="Re-rank this number of nearest images; 0: none. By default auto, and 0 with --thorough.",
            show_default=False,
        ),
    ] = None,
    verify: Annotated[
        int, typer.Option(min=0, max=100, help="Prove whether this number of first hits are copies; 0: none.")
    ] = _VERIFIED,
    thorough: Annotated[
        bool,
        typer.Option(
            "--thorough",
            help="Verify what is nearest to views of the image too: copies that were altered much are found.",
        ),
    ] = False,
    space: Annotated[
        str | None, typer.Option(help="The project's space to search in; by default the serving space.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole result as JSON.")] = False,
    embedder: Embedder = DEFAULT_EMBEDDER,
    searcher: Searcher = DEFAULT_SEARCHER,
    timeout: Timeout = 30,
) -> None:
    """Show the images that are most similar to an image, or that show what a text says."""
    if (image is None) == (text is None):
        raise typer.BadParameter("needs exactly one of an image and --text", param_hint="IMAGE")
    if text is not None:
        if thorough:
            raise typer.BadParameter("needs an image: words have no copies", param_hint="--thorough")
        verify = 0
    depth = rerank_depth(rerank or ("0" if thorough else "auto"))
    chosen = filters.filter_of(product, variant, staged, uri_prefix, label)
    if thorough and not verify:
        raise typer.BadParameter("a thorough search verifies: --verify must be more than 0", param_hint="--thorough")

    async def work() -> None:
        async with Client(embedder, searcher, timeout=timeout) as client:
            result = await client.search(
                project,
                image=None if image is None else await read_photo(image, timeout),
                text=text,
                limit=limit,
                filter=chosen,
                min_similarity=min_similarity,
                group_by_product=by_product,
                exact=exact,
                space=space,
                rerank=depth,
                verify=verify,
                thorough=thorough,
            )
        if as_json:
            print_json(result, indent=2)
        else:
            _print(result, verify)

    run(work())


def _print(result: SearchResult, verify: int) -> None:
    proven = any(hit.proof for hit in result.hits)
    titles = ("rank", "similarity", "match", *["what was done"] * proven, "product", "where")
    shown = table(titles, right=("rank", "similarity"), whole=("match",))
    for rank, hit in enumerate(result.hits, start=1):
        shown.add_row(
            str(rank),
            f"{hit.similarity:.4f}",
            Text(hit.match, MATCH_STYLES[hit.match]),
            *[words(hit.proof) if hit.proof else ""] * proven,
            hit.product or format_products(hit.references),
            format_places(hit.references, hit.reference_count),
        )
    print_table(shown)
    if result.query_featureless:
        errors.print("the image shows nothing but one colour, so its likeness to others means nothing", soft_wrap=True)
    _print_basis(result, verify)
    by_cosine = [hit for hit in result.hits if hit.match is Match.NEAR_DUPLICATE and not hit.proof]
    if any(hit.similarity < NEAR_DUPLICATE for hit in by_cosine):
        errors.print(
            f"near duplicates are told by their similarity before the project was adapted, {NEAR_DUPLICATE} or more;"
            " the similarities shown are those in the adapted space",
            soft_wrap=True,
        )
    errors.print(
        f"{result.mode} search{_SLOW.get(result.reason, '')} over {result.images_ranked:,} images:"
        f" embedded in {result.embed_seconds * 1000:.0f} ms, searched in {result.search_seconds * 1000:.0f} ms"
    )


def _print_basis(result: SearchResult, verify: int) -> None:
    """Say which of the hits that should have been verified were not."""
    bases = [hit.match_basis for hit in result.hits[:verify]]
    unverified = sum(basis not in _VERIFIABLE for basis in bases)
    if unverified:
        errors.print(
            f"{unverified} of {len(bases)} hits could not be verified, as there is no fingerprint: their match is what"
            " the cosine says (`lookalike index --reread` adds fingerprints to images of before)",
            soft_wrap=True,
        )
    if little := bases.count(MatchBasis.TOO_LITTLE):
        message = f"{little} of {len(bases)} hits could not be verified: they or the image show too little"
        errors.print(message, soft_wrap=True)
