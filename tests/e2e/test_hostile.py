"""Names that attack whoever looks at them, in a real browser: on the page, in its address, and in the report."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page, expect

from lookalike import Client, Item
from lookalike.evaluation.labels import LeftOut
from lookalike.processes import running
from lookalike_gateway.config import Config
from lookalike_gateway.server import serving
from tests.browser import browser
from tests.data_dir import initialised
from tests.pictures import jpeg

CODE: Final = "document.title = 'owned'; alert('owned')"
NAMES: Final = (
    f'<img src=x onerror="{CODE}">',
    f'"><script>{CODE}</script>',
    "'-alert('owned')-'",
    f"<svg/onload={CODE}>",
    f'" onmouseover="{CODE}" autofocus onfocus="{CODE}" x="',
    "{{constructor.constructor('alert(1)')()}}",
    "</style></title></textarea><script>alert('owned')</script>",
    "<b>bold</b>&lt;script&gt;\u202ekcab\u2028",
    "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E",
)
URIS: Final = (
    f"javascript:{CODE}",
    f"JavaScript:{CODE}//https://shop.example/",
    f"data:text/html,<script>{CODE}</script>",
    f"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload=\"{CODE}\"/>",
    "vbscript:alert(1)",
    "//127.0.0.1:9/x.png",
    f'http://127.0.0.1:9/"onerror="{CODE}".png',
    f"https://127.0.0.1:9/<script>{CODE}</script>",
    f"file:///etc/<img src=x onerror={CODE}>",
)
WATCH: Final = """
    window.broken = [];
    addEventListener("securitypolicyviolation", (event) => broken.push(event.violatedDirective + event.blockedURI));
"""
FOUND: Final = """() => {
    const wrong = [];
    for (const element of document.querySelectorAll("*")) {
        for (const { name, value } of element.attributes) {
            if (name.startsWith("on")) wrong.push(`${element.tagName} ${name}`);
            if (["href", "src", "action", "xlink:href"].includes(name)) {
                const { protocol } = new URL(value, location.href);
                const pictures = element.tagName === "IMG" ? ["http:", "https:", "blob:", "data:"] : [];
                if (![location.protocol, ...pictures].includes(protocol)) wrong.push(`${element.tagName} ${value}`);
                if (protocol === "data:" && !/^data:image\\/(jpeg|webp);base64,/.test(value)) wrong.push(value);
            }
        }
        if (element.tagName === "SCRIPT" && !element.src.startsWith(location.origin + "/assets/")) wrong.push("SCRIPT");
    }
    if (document.title.includes("owned")) wrong.push("title");
    return [...wrong, ...(window.broken ?? [])];
}"""
"""Whatever a name has made of itself: also what the page's policy stopped, as it should never come to that."""


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as launched:
        yield launched


@pytest.fixture
async def page(chromium: Browser) -> AsyncIterator[Page]:
    """Where nothing has asked anything in the end, and nothing has failed."""
    context = await chromium.new_context()
    page = await context.new_page()
    await page.add_init_script(WATCH)
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))

    async def dismiss(dialog: Any) -> None:  # noqa: ANN401
        said.append(dialog.message)
        await dialog.dismiss()

    page.on("dialog", dismiss)
    yield page
    await context.close()
    assert said == []


@pytest.fixture(scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A page over a project of hostile names; each image is there twice."""
    data = ["--port", "0", "--data-dir", str(initialised(tmp_path_factory.mktemp("data")))]
    async with (
        running("lookalike_searcher", data) as searcher,
        running("tests.thumbnail_embedder", ["--port", "0"]) as embedder,
        Client(embedder.address, searcher.address) as client,
    ):
        await client.create_project("shop")
        items = [
            Item(jpeg(16 * (2 + number)), f"{uri}{twin}", name, f"{name}{twin}", labels={f"l{number}": name})
            for number, (uri, name) in enumerate(zip(URIS, NAMES, strict=True))
            for twin in ("", "#twin")
        ]
        assert not [outcome.error async for outcome in client.index("shop", items) if outcome.error]
        config = Config(embedder=embedder.address, searcher=searcher.address, port=0, grace=2)
        async with serving(config) as url:
            yield url


async def test_names_on_the_page_are_text(page: Page, url: str) -> None:
    await page.goto(f"{url}/#search/shop")
    cards = page.locator("#results .card")
    await expect(cards).to_have_count(len(URIS))
    for name in (NAMES[0], NAMES[4]):
        await expect(page.locator("#results .name").get_by_text(name, exact=True)).to_have_count(1)
    assert await page.evaluate(FOUND) == []
    for number in range(len(URIS)):
        card = cards.nth(number)
        await card.hover()
        await card.click()
        await expect(page.locator("#results .match")).not_to_have_count(0)
        assert await page.evaluate(FOUND) == []
        await page.go_back()
        await expect(page.locator("#results .match")).to_have_count(0)
        await expect(cards).to_have_count(len(URIS))
    await page.goto(f"{url}/#duplicates/shop")
    await expect(page.locator(".cluster")).not_to_have_count(0)
    await expect(page.locator("#clusters")).not_to_have_attribute("aria-busy", "true")
    assert await page.evaluate(FOUND) == []


async def test_what_an_address_or_a_field_says_is_text(page: Page, url: str) -> None:
    for name in NAMES:
        await page.goto("about:blank")
        await page.goto(f"{url}/#search/{quote(name, safe='')}?like={quote(name)}&photo={quote(name)}")
        await expect(page.locator("#trouble")).to_contain_text("no project")
        assert await page.evaluate(FOUND) == []
    await page.goto(f"{url}/#search/shop")
    await page.get_by_text("More filters").click()
    for name in NAMES[:3]:
        async with page.expect_response("**/images?*"):
            await page.get_by_label("Labels").fill(name)
        assert await page.evaluate(FOUND) == []


async def test_names_in_the_report_are_text(page: Page, tmp_path: Path) -> None:
    """Labels, files and sides, and why a photo was left out."""
    from lookalike.evaluation.report import render  # which draws with matplotlib
    from tests.evaluations import evaluated

    made = evaluated(tmp_path, *NAMES[:2])
    photos = [
        replace(photo, label=NAMES[number % len(NAMES)], name=f"{NAMES[number % len(NAMES)]}.jpg")
        for number, photo in enumerate(made.labelled.photos)
    ]
    left_out = [LeftOut(name, name) for name in NAMES]
    labelled = replace(made.labelled, photos=photos, left_out=left_out)
    names = tuple(NAMES[: len(made.names)])
    path = tmp_path / "report.html"
    path.write_text(render(replace(made, labelled=labelled, names=names)), encoding="utf-8")
    await page.goto(path.as_uri())
    assert NAMES[0] in await page.locator("body").inner_text()
    assert [wrong for wrong in await page.evaluate(FOUND) if wrong] == []
    assert await page.locator("script").count() == 0
