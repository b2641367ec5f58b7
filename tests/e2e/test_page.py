"""The page in a real browser, over the programs as processes and the real model.

Screenshots are left in `build/screenshots`; `make screenshot` puts some into `docs`.
"""

import asyncio
import base64
import io
import os
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from axe_playwright_python.async_playwright import Axe
from PIL import Image
from playwright.async_api import Browser, Dialog, Page, Route, expect

from lookalike import Client, Item
from lookalike.demo.copies import make_copies
from lookalike.processes import running
from lookalike_gateway.config import Config
from lookalike_gateway.server import serving
from lookalike_serving.security.config import Security
from tests.browser import browser
from tests.data_dir import initialised
from tests.duration import LONG
from tests.pictures import encoded, jpeg, shipped
from tests.signing import Signer, jwks

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]
SHOTS: Final = ROOT / "build" / "screenshots"
DROP: Final = """([name, data]) => {
    const file = new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name, {type: "image/jpeg"});
    const transfer = new DataTransfer();
    transfer.items.add(file);
    return transfer;
}"""


@dataclass(frozen=True)
class Site:
    """What is served: its address, a client of the servers behind, and the photos by name with their altered copies."""

    url: str
    client: Client
    families: dict[str, dict[str, Path]]

    @property
    def images(self) -> int:
        """How many images the project holds: of each family, all but the two that are for dropping."""
        return sum(len(family) - 2 for family in self.families.values())


SOME = ("astronaut", "chelsea", "coffee", "flower", "rocket")
"""The project holds these photos; for the README's screenshot, and in `make test-long`, all that are shipped."""


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as launched:
        yield launched


@pytest.fixture(scope="module")
async def site(chromium: Browser, photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """`lookalike http` over a searcher and an embedder; the project `shop` holds photos and copies, by product."""
    folder = tmp_path_factory.mktemp("site")
    if not LONG and "LOOKALIKE_SCREENSHOTS" not in os.environ:
        photos = [photo for photo in photos if photo.stem in SOME]
    families = {photo.stem: make_copies(photo, folder / photo.stem) | {"": photo} for photo in photos}
    async with (
        running("lookalike_searcher", ["--port", "0", "--data-dir", str(initialised(folder / "data"))]) as searcher,
        running("lookalike_embedder", ["--port", "0"]) as embedder,
        Client(embedder.address, searcher.address) as client,
    ):
        await client.create_project("shop")
        items = [
            Item(path, path.as_uri(), name, variant)
            for name, family in families.items()
            for variant, path in family.items()
            if variant not in ("recolour", "mirror")  # which are for dropping
        ]
        assert not [outcome.error async for outcome in client.index("shop", items) if outcome.error]
        roots = {str(path.parent) for family in families.values() for path in family.values()}
        process = await asyncio.create_subprocess_exec(
            BIN / "lookalike",
            *("http", "--port", "0", "--embedder", embedder.address, "--searcher", searcher.address),
            *(word for root in roots for word in ("--photos-root", root)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        yield Site(line.split()[4], client, families)
        process.terminate()
        assert await process.wait() == 0


expect.set_options(timeout=30_000)  # milliseconds, on machines that do other things too


@pytest.fixture
async def page(chromium: Browser, site: Site) -> AsyncIterator[Page]:
    """The page, opened; afterwards it has asked nobody else for anything, and no script has failed."""
    context = await chromium.new_context(viewport={"width": 1280, "height": 860})
    page = await context.new_page()
    asked: list[str] = []
    failures: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: failures.append(str(error)))
    await page.goto(f"{site.url}/#search/shop")
    await expect(page.locator("#results .card").first).to_be_visible()
    yield page
    await context.close()
    assert not failures
    assert not [url for url in asked if not url.startswith((site.url, "blob:"))]


async def drop(page: Page, data: bytes, kind: str = "drop") -> None:
    """Drop or paste a file."""
    transfer = await page.evaluate_handle(DROP, ["photo.jpg", base64.b64encode(data).decode()])
    if kind == "drop":
        await page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    else:
        script = "(data) => dispatchEvent(new ClipboardEvent('paste', {clipboardData: data}))"
        await transfer.evaluate(script)


async def drop_all(page: Page, *files: bytes) -> None:
    """Drop several files at once."""
    transfer = await page.evaluate_handle("new DataTransfer()")
    for number, data in enumerate(files):
        one = await page.evaluate_handle(DROP, [f"photo{number}.jpg", base64.b64encode(data).decode()])
        await transfer.evaluate("(all, one) => all.items.add(one.files[0])", one)
    await page.dispatch_event("body", "drop", {"dataTransfer": transfer})


async def first(page: Page, name: str) -> None:
    """Wait until the first result shows this photo."""
    await expect(page.locator("#status")).to_contain_text("embedded in")
    await expect(page.locator("#results .name").first).to_have_text(name)


async def shot(page: Page, name: str) -> None:
    """Keep a screenshot, once all thumbnails are there."""
    await page.wait_for_load_state("networkidle")
    SHOTS.mkdir(parents=True, exist_ok=True)
    data = await page.screenshot(path=SHOTS / f"{name}.png")
    if folder := os.environ.get("LOOKALIKE_SCREENSHOTS"):
        Image.open(io.BytesIO(data)).save(Path(folder, f"{name}.webp"), quality=80)


def side_by_side(left: Path, right: Path) -> bytes:
    """Both photos as one."""
    both = Image.new("RGB", (800, 400))
    for place, path in enumerate((left, right)):
        with Image.open(path) as opened:
            both.paste(opened.convert("RGB").resize((400, 400)), (400 * place, 0))
    return encoded(both, "JPEG", quality=95)


async def test_a_photo_is_dropped_and_its_copies_come_first(page: Page, site: Site) -> None:
    """What is dropped was recoloured: it is not in the catalogue itself."""
    await drop(page, site.families["chelsea"]["recolour"].read_bytes())
    await first(page, "chelsea")
    names = await page.locator("#results .name").all_text_contents()
    assert names[:5] == ["chelsea"] * 5
    assert "chelsea" not in names[5:]
    similarities = [float(text) for text in await page.locator("#results .similarity").all_text_contents()]
    assert similarities[:5] == sorted(similarities[:5], reverse=True)
    assert similarities[0] > 0.95
    assert min(similarities[:5]) > max(similarities[5:])  # among the rest, they need not fall: these are re-ranked
    await expect(page.locator("#results .match").first).to_have_text("Near duplicate")
    await expect(page.locator("#status")).to_have_text(
        re.compile(rf"^24 shown, compared with {site.images} images; embedded in \d+ ms, searched in [\d.]+ ms$")
    )
    await expect(page.locator("#results img").first).to_have_js_property("complete", value=True)
    assert await page.locator("#results img").first.evaluate("image => image.naturalWidth") > 100
    await shot(page, "page")


async def test_a_photo_is_pasted_or_chosen_and_the_same_file_is_told_from_its_copies(page: Page, site: Site) -> None:
    await drop(page, site.families["chelsea"]["recolour"].read_bytes(), "paste")
    await first(page, "chelsea")
    await page.set_input_files("#file", site.families["rocket"]["resize"])
    await expect(page.locator("#results .name").first).to_have_text("rocket")
    await expect(page.locator("#results .match").first).to_have_text("Same file")
    await expect(page.locator("#results .match").nth(1)).to_have_text("Near duplicate")


async def test_a_region_is_searched_for_by_mouse(page: Page, site: Site) -> None:
    both = side_by_side(site.families["astronaut"][""], site.families["coffee"][""])
    await drop(page, both)
    await expect(page.locator("#status")).to_contain_text("embedded in")
    box = await page.locator("#stage").bounding_box()
    assert box is not None

    async def drag(start: float, end: float) -> None:
        await page.mouse.move(box["x"] + start * box["width"], box["y"] + 15)
        await page.mouse.down()
        await page.mouse.move(box["x"] + end * box["width"], box["y"] + box["height"] - 5, steps=4)
        await page.mouse.up()
        await expect(page.locator("#crop")).to_be_visible()

    await drag(0.52, 0.98)
    await first(page, "coffee")
    assert float(await page.locator(".similarity").first.text_content() or 0) > 0.8
    await page.locator("#cut").click()
    await expect(page.locator("#crop")).to_be_hidden()
    await expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    assert float(await page.locator(".similarity").first.text_content() or 0) < 0.8
    await drag(0.02, 0.48)
    await first(page, "astronaut")
    await expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    assert float(await page.locator(".similarity").first.text_content() or 0) > 0.8
    await shot(page, "crop")


async def test_a_region_is_searched_for_by_keys(page: Page, site: Site) -> None:
    await drop(page, side_by_side(site.families["astronaut"][""], site.families["coffee"][""]))
    await expect(page.locator("#status")).to_contain_text("embedded in")
    await page.locator("#cut").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#crop")).to_be_focused()
    for _ in range(6):
        await page.keyboard.press("ArrowRight")
    for _ in range(5):
        await page.keyboard.press("Shift+ArrowLeft")
    for _ in range(4):
        await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Enter")
    await first(page, "coffee")
    await page.keyboard.press("Escape")
    await expect(page.locator("#cut")).to_have_attribute("aria-pressed", "false")


async def test_a_result_is_clicked_and_searched_from_and_back(page: Page, site: Site) -> None:
    await drop(page, site.families["chelsea"]["recolour"].read_bytes())
    await first(page, "chelsea")
    other = page.locator("#results .card").nth(6)
    name = await other.locator(".name").text_content()
    await other.click()
    await expect(page).to_have_url(re.compile(r"like=[0-9a-f]{64}$"))
    await expect(page.locator("#results .match").first).to_have_text("Same file")
    await expect(page.locator("#results .name").first).to_have_text(name or "")
    await expect(page.locator("#status")).not_to_contain_text("embedded")
    await page.locator("#cut").click()
    await expect(page.locator("#status")).to_contain_text("embedded in")  # a region of an image of the catalogue
    await page.go_back()
    await first(page, "chelsea")


async def test_filters_and_groups_change_what_is_shown(page: Page, site: Site) -> None:
    await drop(page, site.families["chelsea"]["recolour"].read_bytes())
    await first(page, "chelsea")
    await page.get_by_label("Best image of each product").check()
    await expect(page.locator("#results .name", has_text="chelsea")).to_have_count(1)
    names = await page.locator("#results .name").all_text_contents()
    assert len(names) == len(set(names)) == len(site.families)
    await page.get_by_label("Best image of each product").uncheck()
    await page.get_by_text("More filters").click()
    await page.get_by_label("Product", exact=True).fill("coffee, rocket")
    await expect(page.locator("#results .card")).to_have_count(10)
    await page.get_by_label("Variant").fill("resize")
    await expect(page.locator("#results .card")).to_have_count(2)
    await page.get_by_label("Labels").fill("colour=red")
    await expect(page.locator("#results")).to_have_text("Nothing passes these filters.")
    await page.get_by_label("Labels").fill("red")
    await expect(page.get_by_role("alert").first).to_contain_text("label")


async def test_a_copy_is_proven_by_both_pictures_laid_over_each_other(page: Page, site: Site) -> None:
    """By keys alone: the proof is opened, faded, blinked and closed, and the focus is where it was."""
    await drop(page, site.families["chelsea"]["mirror"].read_bytes())
    await first(page, "chelsea")
    prove = page.get_by_role("button", name="Proof: chelsea").first
    await prove.press("Enter")
    dialog = page.get_by_role("dialog", name="A copy of chelsea")
    await expect(dialog.get_by_role("img")).to_have_count(3)
    await expect(page.locator("#proof-words")).to_contain_text("mirrored")
    pixels = "(canvas) => canvas.toDataURL()"
    overlay = dialog.get_by_role("img", name="The photo laid over your picture")
    slider = dialog.get_by_role("slider")
    await slider.press("Home")
    alone = await overlay.evaluate(pixels)
    await slider.press("End")
    over = await overlay.evaluate(pixels)
    assert over != alone
    blink = dialog.get_by_role("button", name="Blink")
    await blink.press("Enter")
    await expect(blink).to_have_attribute("aria-pressed", "true")
    async with asyncio.timeout(30):
        for seen in (alone, over):
            while await overlay.evaluate(pixels) != seen:
                pass
    await blink.press("Enter")
    await expect(blink).to_have_attribute("aria-pressed", "false")
    await shot(page, "proof")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(prove).to_be_focused()


async def test_many_suspicious_files_are_dropped_and_each_has_its_verdict(page: Page, site: Site) -> None:
    """They are searched for a few at a time, what is left can be cancelled, and a copy leads to its proof and photo."""
    await page.get_by_role("link", name="Copies").click()
    await page.get_by_label("Thorough").uncheck()
    other = encoded(shipped("retina.jpg"), "JPEG")
    await drop_all(page, other, b"no photo", site.families["chelsea"]["mirror"].read_bytes())
    count = page.locator("#copies-count")
    await expect(count).to_have_text("3 of 3 files: 1 is a copy, 1 no copy, 1 failed")
    await expect(page.locator("#copies-status")).to_have_text("3 of 3 files: 1 is a copy, 1 no copy, 1 failed")
    verdicts = page.locator(".verdict")
    await expect(verdicts.last).to_contain_text("no copy")
    copy = page.locator(".verdict.copy")
    await expect(copy).to_contain_text("photo2.jpg")
    await copy.get_by_role("button", name="Proof: chelsea").first.click()
    await expect(page.get_by_role("dialog", name="A copy of chelsea").get_by_role("img")).to_have_count(3)
    await page.get_by_role("button", name="Close").click()
    asked: list[Route] = []
    await page.route("**/copies*", lambda route: asked.append(route))  # and no answer comes
    await drop_all(page, *[other] * 5)
    await expect(count).to_contain_text("3 of 8 files")
    await page.get_by_role("button", name="Cancel").click()
    await expect(count).to_contain_text("3 of 3 files")
    assert len(asked) == 3, "at once"
    assert all(route.request.url.endswith("/copies?thorough=false") for route in asked)
    for route in asked:
        await route.abort()
    await page.unroute("**/copies*")
    await copy.get_by_role("link", name="chelsea").first.click()
    await expect(page.locator("#results .match").first).to_have_text("Same file")


async def test_the_pictures_of_a_dropped_folder_are_examined_also_of_folders_in_it(
    page: Page, site: Site, tmp_path: Path
) -> None:
    inner = tmp_path / "found" / "last year"
    inner.mkdir(parents=True)
    (inner / "copy.jpg").write_bytes(site.families["chelsea"]["mirror"].read_bytes())
    (inner.parent / "other.jpg").write_bytes(encoded(shipped("retina.jpg"), "JPEG"))
    (inner.parent / "notes.txt").write_text("no picture")
    await page.get_by_role("link", name="Copies").click()
    await page.get_by_label("Thorough").uncheck()
    browser = await page.context.new_cdp_session(page)  # as the mouse does it: a page cannot make a folder
    data = {"items": [], "files": [str(inner.parent)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        await browser.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    await expect(page.locator("#copies-count")).to_have_text("2 of 2 files: 1 is a copy, 1 no copy")
    await expect(page.locator(".verdict.copy")).to_contain_text("copy.jpg")


async def test_more_is_shown_page_by_page_and_every_page_is_verified(page: Page, site: Site) -> None:
    await drop(page, site.families["chelsea"]["recolour"].read_bytes())
    await first(page, "chelsea")
    for shown in (*range(48, site.images, 24), site.images):
        async with page.expect_response("**/image-search?*") as answer:
            await page.locator("#more").click()
        await expect(page.locator("#results .card")).to_have_count(shown)
        results = (await (await answer.value).json())["results"]
        assert {result["matchBasis"] for result in results} <= {"fingerprint", "too-little"}
    await expect(page.locator("#more")).to_be_hidden()
    titles = await page.evaluate("[...document.querySelectorAll('#results .card')].map((card) => card.title)")
    assert len(set(titles)) == site.images


async def test_a_photo_that_cannot_be_loaded_from_its_address_is_shown_by_its_fingerprint(
    chromium: Browser, site: Site
) -> None:
    """The page asks the photo's own address first, and a token is for nobody but our own server."""
    photo = site.families["rocket"][""].read_bytes()
    await site.client.create_project("away")
    uri = "http://127.0.0.1:9/gone.jpg"  # where nobody listens
    assert not [outcome.error async for outcome in site.client.index("away", [Item(photo, uri)]) if outcome.error]
    async with await chromium.new_context() as context:
        await context.add_init_script("sessionStorage.setItem('token', 'secret')")
        page = await context.new_page()
        asked: list[tuple[str, str | None]] = []
        page.on("request", lambda request: asked.append((request.url, request.headers.get("authorization"))))
        await page.goto(f"{site.url}/#search/away")
        image = page.locator("#results img").first
        await expect(image).to_have_attribute("src", re.compile("^blob:"))
        assert await image.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 160
    assert (uri, None) in asked
    assert [url for url, token in asked if token and not url.startswith(site.url)] == []
    await site.client.delete_project("away")


async def test_what_goes_wrong_is_said_and_can_be_tried_again(page: Page, site: Site) -> None:
    await drop(page, b"no photo at all")
    alert = page.locator("#trouble")
    await expect(alert).to_contain_text("no photo of a kind that can be read")
    await expect(page.locator("#results .card")).to_have_count(0)
    await shot(page, "error")

    async def cut(route: Route) -> None:
        await route.abort()

    await page.route("**/image-search*", cut)
    await drop(page, site.families["chelsea"]["recolour"].read_bytes())
    await expect(alert).to_contain_text("cannot be reached")
    await page.unroute("**/image-search*")
    await page.get_by_role("button", name="Try again").click()
    await first(page, "chelsea")
    await expect(alert).to_be_empty()
    await page.goto(f"{site.url}/#search/nowhere")
    await expect(alert).to_contain_text("no project nowhere")


async def test_projects_are_live_and_can_be_switched_off(page: Page, site: Site) -> None:
    await site.client.create_project("growing")
    await page.get_by_role("link", name="Projects").click()
    card = page.locator(".project", has=page.get_by_role("link", name="growing"))
    await expect(card).to_contain_text("0 images")
    await expect(card).to_contain_text("nothing indexed yet")
    items = [Item(jpeg(64 + number), f"https://shop/{number}") for number in range(3)]
    assert not [outcome.error async for outcome in site.client.index("growing", items) if outcome.error]
    await expect(card).to_contain_text("3 images")
    await expect(card).to_contain_text("ranked exactly")
    await shot(page, "projects")
    switch = page.get_by_role("switch", name="Searches of shop")
    await switch.click()
    await expect(switch).to_have_attribute("aria-checked", "false")
    assert (await site.client.get_project("shop")).search_enabled is False
    await page.goto(f"{site.url}/#search/shop")
    await drop(page, site.families["chelsea"]["recolour"].read_bytes())
    await expect(page.locator("#trouble")).to_contain_text("switched off")
    await page.get_by_role("link", name="Projects").click()
    await switch.click()
    await expect(switch).to_have_attribute("aria-checked", "true")
    await site.client.delete_project("growing")
    await expect(card).to_have_count(0)


async def test_an_empty_project_says_so(page: Page, site: Site) -> None:
    await site.client.create_project("empty")
    await page.goto(f"{site.url}/#search/empty")
    await expect(page.locator("#project")).to_have_value("empty")
    await expect(page.locator("#results")).to_contain_text("holds no images yet")
    await page.get_by_role("link", name="Duplicates").click()
    await expect(page.locator("#duplicates-status")).to_have_text("No duplicates among 0 images")
    await page.locator("#project").select_option("shop")
    await expect(page.locator("#duplicates-status")).to_contain_text("clusters")
    await site.client.delete_project("empty")


async def test_duplicates_are_shown_side_by_side(page: Page, site: Site) -> None:
    await page.get_by_role("link", name="Duplicates").click()
    cluster = page.locator(".cluster", has_text="chelsea").first
    await expect(cluster.locator(".card").nth(2)).to_be_visible()  # how many they are depends on which was first
    count = await cluster.locator(".card").count()
    await expect(cluster.locator("h2")).to_have_text(f"{count} images")
    assert await cluster.locator(".name").all_text_contents() == ["chelsea"] * count
    assert float(await cluster.locator(".similarity").nth(1).text_content() or 0) >= 0.9
    await shot(page, "duplicates")
    while await page.locator("#clusters-more").is_visible():
        await page.locator("#clusters-more").click()
        await expect(page.locator("#clusters")).to_have_attribute("aria-busy", "false")
    await expect(page.locator("#duplicates-status")).to_contain_text(f"among {site.images} images")
    await cluster.locator(".card").nth(1).click()
    await expect(page.locator("#results .name").first).to_have_text("chelsea")
    await page.go_back()
    await page.get_by_label("Same file only").check()
    await expect(page.locator("#duplicates-status")).to_have_text(f"No duplicates among {site.images} images")


async def test_duplicates_are_kept_deleted_or_told_apart_by_keys(page: Page, site: Site) -> None:
    """What is no duplicate is remembered; of the others one is kept, once it was said what that means."""
    family = site.families["chelsea"]
    await site.client.create_project("twins")
    items = [
        Item(family[name], f"{family[name].as_uri()}?{name}", name or "original") for name in ("", "resize", "crop")
    ]
    assert not [outcome.error async for outcome in site.client.index("twins", items) if outcome.error]
    await page.goto(f"{site.url}/#duplicates/twins")
    cluster = page.locator(".cluster")
    await expect(cluster.locator("h2")).to_have_text("3 images")
    await cluster.get_by_role("button", name="Proof:").first.press("Enter")
    await expect(page.get_by_role("dialog").get_by_role("img")).to_have_count(3)
    await page.keyboard.press("Escape")
    await cluster.get_by_role("button", name=re.compile("^crop, .*: not a duplicate")).press("Enter")
    await expect(cluster.locator("h2")).to_have_text("2 images")
    await expect(cluster.locator("h2")).to_be_focused()
    assert len([told async for told in site.client.list_dismissals("twins")]) == 1
    await expect(cluster.get_by_role("radio", name="Keep original")).to_be_checked()
    await cluster.get_by_role("radio", name="Keep original").press("ArrowRight")
    await expect(cluster.get_by_role("radio", name="Keep resize")).to_be_checked()
    said: list[str] = []

    async def answer(dialog: Dialog) -> None:
        said.append(dialog.message)
        await (dialog.accept() if len(said) > 1 else dialog.dismiss())

    page.on("dialog", answer)
    merge = cluster.get_by_role("button", name="Keep one, delete the others")
    async with page.expect_event("dialog"):
        await merge.press("Enter")
    assert said == ["Delete 1 image, and let 1 place show resize instead? It cannot be undone."]
    await merge.press("Enter")
    await expect(cluster).to_have_count(0)
    await expect(page.locator("#duplicates-status")).to_have_text("resize is kept, 1 image deleted.")
    await expect(page.locator("#duplicates-title")).to_be_focused()
    kept = [image async for image in site.client.list_images("twins")]
    products = [sorted(reference.product for reference in image.references) for image in kept]
    assert sorted(products) == [["crop"], ["original", "resize"]]
    await site.client.delete_project("twins")


async def test_the_page_goes_by_keys_alone(page: Page) -> None:
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Skip to the content")).to_be_focused()
    for _ in range(30):
        await page.keyboard.press("Tab")
        if await page.locator("#results .card").first.evaluate("card => card === document.activeElement"):
            break
    else:
        pytest.fail("no result was reached")
    await page.keyboard.press("Enter")
    await expect(page.locator("#results .match").first).to_have_text("Same file")


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 390), *([("light", 390), ("dark", 1280)] if LONG else [])]
)
async def test_nobody_is_shut_out(chromium: Browser, site: Site, scheme: Any, width: int) -> None:  # noqa: ANN401
    """Axe finds nothing: names, roles, contrast, structure; and nothing is wider than a phone."""
    phone = width < 500
    context = await chromium.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": 844},
        has_touch=phone,
        is_mobile=phone,
        reduced_motion="reduce",  # else contrast is looked at while results fade in
    )
    page = await context.new_page()
    await page.goto(f"{site.url}/#search/shop")
    await expect(page.locator("#results .card").first).to_be_visible()
    assert await page.locator(".camera").is_visible() is phone
    axe = Axe()

    async def check(name: str) -> None:
        await expect(page.locator("[aria-busy=true]")).to_have_count(0)
        found = await axe.run(page)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        await shot(page, f"{name}-{scheme}-{width}")

    await check("start")
    await drop(page, site.families["chelsea"]["recolour"].read_bytes())
    await first(page, "chelsea")
    await page.locator("#cut").click()
    await page.get_by_text("More filters").click()
    await expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    await check("found")
    await page.get_by_role("button", name="Proof: chelsea").first.click()
    await expect(page.get_by_role("dialog").get_by_role("img")).to_have_count(3)
    await check("proof")
    await page.keyboard.press("Escape")
    await drop(page, b"no photo")
    await expect(page.locator("#trouble")).to_contain_text("no photo")
    await check("trouble")
    await page.goto(f"{site.url}/#copies/shop")
    await drop_all(page, site.families["chelsea"]["mirror"].read_bytes(), b"no photo")
    await expect(page.locator("#copies-count")).to_contain_text("2 of 2 files")
    await check("copies")
    for view in ("duplicates", "projects"):
        await page.goto(f"{site.url}/#{view}")
        await expect(page.locator(".cluster:visible, .project:visible").first).to_be_visible()
        await expect(page.locator("#clusters")).not_to_have_attribute("aria-busy", "true")
        await check(view)
    await page.goto(f"{site.url}/docs")
    await check("docs")
    await context.close()


async def test_a_token_is_asked_for_and_then_thumbnails_are_shown_too(
    site: Site, chromium: Browser, tmp_path: Path
) -> None:
    signer, path = Signer(), tmp_path / "jwks.json"
    path.write_text(jwks(signer))
    embedder, searcher = site.client._servers._addresses.values()
    roots = tuple({path.parent for family in site.families.values() for path in family.values()})
    config = Config(
        embedder=embedder, searcher=searcher, port=0, photos_roots=roots, grace=5, security=Security(jwks=path)
    )
    asked: list[str] = []

    async def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        await dialog.accept(signer.token("read"))

    async with serving(config) as url, await chromium.new_context() as context:
        page = await context.new_page()
        page.on("dialog", answer)
        await page.goto(f"{url}/#search/shop")
        thumbnail = page.locator("#results img").first
        await expect(thumbnail).to_have_attribute("src", re.compile("^blob:"))
        assert await thumbnail.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
    assert asked == ["This server asks for a token."]
