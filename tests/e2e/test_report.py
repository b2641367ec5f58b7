"""Reports in a real browser."""

import io
import os
import re
from pathlib import Path
from typing import Any

from axe_playwright_python.async_playwright import Axe
from PIL import Image
from playwright.async_api import Browser, Page, expect

from lookalike.proofs import report as copies_report
from tests.browser import browser
from tests.evaluations import evaluated
from tests.lazily import Lazily
from tests.proofs import stolen

report = Lazily("lookalike.evaluation.report")
"""It draws with matplotlib."""


async def opened(chromium: Browser, path: Path, scheme: Any, width: int) -> Page:  # noqa: ANN401 - one of its words
    """The report, in which axe finds nothing, and which is no wider than a phone."""
    page = await chromium.new_page(color_scheme=scheme, viewport={"width": width, "height": 844})
    await page.goto(path.as_uri())
    found = await Axe().run(page)
    assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return page


async def test_the_evaluations_report_shuts_nobody_out(tmp_path: Path) -> None:
    """Axe finds nothing, light and dark, and nothing is wider than a phone; all pictures are shown."""
    path = tmp_path / "report.html"
    path.write_text(report.render(evaluated(tmp_path, "space-a", "space-b")), encoding="utf-8")
    async with browser() as chromium:
        for scheme, width in (("light", 1280), ("dark", 390)):
            page = await opened(chromium, path, scheme, width)
            assert await page.evaluate("[...document.images].every((image) => image.naturalWidth > 40)")
            await page.close()


async def test_the_report_of_copies_is_faded_and_blinked_by_keys_and_shuts_nobody_out(tmp_path: Path) -> None:
    """It is opened as a file; its own policy lets its script and its pictures in, and nothing else is asked for."""
    path = tmp_path / "copies.html"
    suspect, thumbnails = stolen("https://market.example/offers/cat.jpg", "https://shop.example/chelsea.png", "chelsea")
    path.write_text(copies_report.render("shop", [suspect, stolen()[0]], thumbnails), encoding="utf-8")
    async with browser() as chromium:
        for scheme, width in (("light", 1280), ("dark", 390)):
            page = await opened(chromium, path, scheme, width)
            if scheme == "light" and (folder := os.environ.get("LOOKALIKE_SCREENSHOTS")):
                data = await page.locator("article").first.screenshot()
                Image.open(io.BytesIO(data)).save(Path(folder, "copies.webp"), quality=80)
            await page.close()
        page = await chromium.new_page(reduced_motion="reduce")
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(path.as_uri())
        over, slider = page.locator(".over").nth(1), page.get_by_role("slider").nth(1)
        await expect(over).to_have_attribute("opacity", "0.5")
        await slider.press("End")
        await expect(over).to_have_attribute("opacity", "1")
        await slider.press("Home")
        await expect(over).to_have_attribute("opacity", "0")
        blink = page.get_by_role("button", name="Blink, pair 2")
        await blink.press("Enter")
        await expect(over).to_have_attribute("opacity", "1")
        await expect(over).to_have_attribute("opacity", "0")
        await expect(blink).to_have_attribute("aria-pressed", "true")
        await slider.press("ArrowRight")
        await expect(blink).to_have_attribute("aria-pressed", "false")
        await expect(over).to_have_attribute("opacity", "0.01")
        await expect(page.locator(".over").first).to_have_attribute("opacity", "0.5")
        assert said == []
        assert not [url for url in asked if not re.match("(?:file|data):", url)]
