"""A real browser, if this machine has one."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.async_api import Browser, async_playwright

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Chromium, headless: the system's own. A test that needs it is skipped where there is none."""
    found = os.environ.get("LOOKALIKE_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("chromium is needed: apt-get install chromium, or let LOOKALIKE_CHROMIUM name one")
    async with async_playwright() as playwright:
        sandbox = [] if os.getuid() else ["--no-sandbox"]  # which Chromium has not for root
        launched = await playwright.chromium.launch(executable_path=found, args=sandbox)
        yield launched
        await launched.close()
