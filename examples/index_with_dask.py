"""Index a Parquet manifest with a Dask cluster: each partition goes through the client on some worker.

    pip install 'lookalike[index,parquet]' dask
    python examples/index_with_dask.py shop manifest.parquet --workers 4

The manifest has the columns of `docs/indexing.md`. Without a cluster the workers are processes of this machine; with
one, make a `dask.distributed.Client` first, and the same graph runs there. A partition that is lost with its worker is
simply done again: what was stored is found unchanged.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dask.base import compute
from dask.delayed import delayed
from pyarrow import parquet

from lookalike import Client, Item

COLUMNS = ("uri", "product", "variant", "staged")


def items(path: Path, row_group: int) -> Iterator[Item]:
    """The rows of one row group."""
    for row in parquet.ParquetFile(path).read_row_group(row_group).to_pylist():
        labels = {name: str(value) for name, value in row.items() if name not in COLUMNS and value is not None}
        own = {name: row[name] for name in COLUMNS if row.get(name) is not None}
        yield Item(image=None, **own, labels=labels)


async def index(project: str, path: Path, row_group: int) -> tuple[Counter[str], list[dict[str, str]]]:
    """Index one row group: how many items came to what, and the failures."""
    counts: Counter[str] = Counter()
    failures: list[dict[str, str]] = []
    async with Client.from_env() as client:
        async for outcome in client.index(project, items(path, row_group)):
            counts[outcome.status] += 1
            if outcome.error:
                failures.append({"uri": outcome.uri, "reason": outcome.error.reason, "error": str(outcome.error)})
    return counts, failures


def partition(project: str, path: Path, row_group: int) -> tuple[Counter[str], list[dict[str, str]]]:
    """The same for a worker, which knows nothing of asyncio."""
    return asyncio.run(index(project, path, row_group))


def main() -> None:
    """Index all row groups, and say what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    groups = range(parquet.ParquetFile(options.manifest).num_row_groups)
    work: list[Any] = [delayed(partition)(options.project, options.manifest, number) for number in groups]
    results = compute(*work, scheduler="processes", num_workers=options.workers)  # type: ignore[no-untyped-call]
    counts: Counter[str] = sum((counts for counts, _ in results), Counter())
    for failure in (failure for _, failures in results for failure in failures):
        print(f"{failure['reason']}: {failure['uri']}: {failure['error']}")
    print(", ".join(f"{count:,} {status}" for status, count in sorted(counts.items())) or "nothing")
    raise SystemExit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    main()
