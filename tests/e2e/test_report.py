"""The evaluation's report in a real browser."""

from pathlib import Path
from typing import Any

from axe_playwright_python.async_playwright import Axe

from tests.browser import browser
from tests.evaluations import evaluated
from tests.lazily import Lazily

report = Lazily("lookalike.evaluation.report")
"""It draws with matplotlib."""


async def test_the_report_shuts_nobody_out(tmp_path: Path) -> None:
    """Axe finds nothing, light and dark, and nothing is wider than a phone; all pictures are shown."""
    path = tmp_path / "report.html"
    path.write_text(report.render(evaluated(tmp_path, "space-a", "space-b")), encoding="utf-8")
    async with browser() as chromium:
        for scheme, width in (("light", 1280), ("dark", 390)):
            chosen: Any = scheme
            page = await chromium.new_page(color_scheme=chosen, viewport={"width": width, "height": 844})
            await page.goto(path.as_uri())
            found = await Axe().run(page)
            assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert await page.evaluate("[...document.images].every((image) => image.naturalWidth > 40)")
            await page.close()
