"""What all tests share."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lookalike.demo.photos import shipped_photos


@pytest.fixture(autouse=True)
async def no_unhandled_failures() -> AsyncIterator[None]:
    """Fail a test that left an exception on the event loop which nobody handled."""
    loop = asyncio.get_running_loop()
    unhandled: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    yield
    loop.set_exception_handler(None)
    assert not unhandled, f"unhandled on the event loop: {unhandled}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("this machine has no GPU that torch can use")


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    """Real photos, those that the demo shows."""
    found = shipped_photos()
    assert len(found) > 15, "the demo extra's photos are missing"
    return found
