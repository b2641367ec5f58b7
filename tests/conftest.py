"""What all tests share."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from lookalike.demo.photos import shipped_photos
from tests.command_line import CommandLine, command_line

# What a shell starts in its background ignores SIGINT, and so would the programs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Several tests run at once: their threads must not spin while they wait for one another. NumPy's would, and a
# multiplication takes ten times as long where two processes do so on two cores; NumPy reads this when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Tests import ONNX Runtime before the embedder, which asks it not to tell its makers about this process.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# And a server with a port that the test names must not take one port for its metrics from a server of another test.
for program in "EMBEDDER", "HTTP", "SEARCHER":
    os.environ[f"LOOKALIKE_{program}_METRICS_PORT"] = "0"
# On a busy machine an example of 50 ms takes half a second now and then, and making it as well.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


_TEMPORARY = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Give this run a temporary folder of its own.

    pytest would share one between all runs of a user, and shut others out of it whenever a run begins. A PostgreSQL
    that another run has just started as a user of its own could not read its files any more. pytest-xdist's workers
    have the folder of who began them.
    """
    if "PYTEST_DEBUG_TEMPROOT" not in os.environ:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = config.stash[_TEMPORARY] = tempfile.mkdtemp(prefix="lookalike-")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Leave the folder only where something failed; who made it removes it."""
    if exitstatus == 0 and (folder := session.config.stash.get(_TEMPORARY, None)):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
async def no_unhandled_failures() -> AsyncIterator[None]:
    """Fail a test that left an exception on the event loop which nobody handled."""
    loop = asyncio.get_running_loop()
    unhandled: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    yield
    loop.set_exception_handler(None)
    assert not unhandled, f"unhandled on the event loop: {unhandled}"


@pytest.fixture(autouse=True)
def pixel_limit_of_pillow() -> Iterator[None]:
    """Give Pillow's limit back to the next test: the embedder sets it for the whole process."""
    limit = Image.MAX_IMAGE_PIXELS
    yield
    Image.MAX_IMAGE_PIXELS = limit


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("a GPU is needed")


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    """Real photos, those that the demo shows."""
    found = shipped_photos()
    assert len(found) > 15, "the demo extra's photos are missing"
    return found


@pytest.fixture(scope="session")
def commands() -> Iterator[CommandLine]:
    """`lookalike` with any arguments."""
    with command_line() as started:
        yield started


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Say in the run's last line what was not tried, and what is needed to try it."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not isinstance(reporter, pytest.TerminalReporter):
        return
    reasons = Counter(skip.longrepr[2].removeprefix("Skipped: ") for skip in reporter.stats.get("skipped", []))
    if reasons:
        told = "; ".join(f"{count} as {reason}" for reason, count in reasons.most_common())
        reporter.write_line(f"not tried: {told}")
