"""The OpenAPI document is true: generated requests, right and wrong, get what it says, and never a 500."""

import asyncio
import hashlib
import os
import sys
import uuid
from pathlib import Path

import httpx

from lookalike import Client, Item
from lookalike_gateway import docs, openapi
from lookalike_gateway.app import application
from lookalike_gateway.config import Config
from lookalike_gateway.metrics import Metrics
from lookalike_gateway.server import serving
from tests.duration import LONG, SECONDS
from tests.pictures import jpeg

DOCUMENT = openapi.document(application(Config(), Metrics()))
OPERATIONS = [(path, one) for path, methods in DOCUMENT["paths"].items() for one in methods.values()]
ROOT = Path(__file__).resolve().parents[2]
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "allow_header_conformance",
    "unsupported_method",
)
"""Not that all that fits the schema is accepted: not every text is a page token, nor every body a photo."""
PHASES = "examples,coverage,fuzzing" if LONG else "examples,coverage"
"""What is at the edges of a schema is asked in each run; what is within, and what is random, in a long one."""
REJECTED = ["400", "401", "403", "404", "405", "406", "409", "414", "415", "422", "428", "429", "431", "5xx"]
"""How a request that breaks its schema may be refused: also for its length, before it is read."""


async def test_generated_requests_get_what_the_document_says(quick_client: Client, tmp_path: Path) -> None:
    project = f"http-{uuid.uuid4().hex[:12]}"
    await quick_client.create_project(project)
    files = [tmp_path / f"{number}.jpg" for number in range(5)]
    for number, file in enumerate(files):
        file.write_bytes(jpeg(64 + number))
    items = [Item(file, file.as_uri(), product=file.stem, labels={"colour": "teal"}) for file in files]
    assert not [o.error async for o in quick_client.index(project, items) if o.error]
    known = tmp_path / "schemathesis.toml"
    sha256 = hashlib.sha256(files[0].read_bytes()).hexdigest()
    known.write_text(
        f'[parameters]\n"path.project" = "{project}"\n"path.sha256" = "{sha256}"\n'
        f"[checks.negative_data_rejection]\nexpected-statuses = {REJECTED}\n"
    )
    embedder, searcher = quick_client._servers._addresses.values()
    async with serving(Config(embedder=embedder, searcher=searcher, port=0, photos_roots=(tmp_path,))) as url:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).parent / "st",
            *("--config-file", known, "run", f"{url}/openapi.json", "--checks", ",".join(CHECKS)),
            *("--phases", PHASES, "--max-examples", str(round(3 * SECONDS))),
            *(
                "--generation-database",
                "none",
                "--no-color",
                "--continue-on-failure",
            ),  # one worker: in two threads, CPython 3.11 parses sources wrongly at times
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.integration.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    await quick_client.delete_project(project)
    assert process.returncode == 0, output.decode()[-6000:]
    assert f"Tested: {len(OPERATIONS)}" in output.decode()


async def test_the_document_and_its_page_are_served_and_need_nothing_from_elsewhere(quick_client: Client) -> None:
    embedder, searcher = quick_client._servers._addresses.values()
    async with (
        serving(Config(embedder=embedder, searcher=searcher, port=0)) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        assert (await client.get("/openapi.json")).json() == DOCUMENT
        page = (await client.get("/docs")).text
    assert page == docs.page(DOCUMENT)
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    for path, operation in OPERATIONS:
        assert path in page
        for parameter in operation.get("parameters", ()):
            assert f"<code>{parameter['name']}</code>" in page
