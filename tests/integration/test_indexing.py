"""Indexing from files and hosts: what is read, what is embedded, what is put off, what is deleted."""

import asyncio
import itertools
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from aiohttp import web

from lookalike import Client, Item, Outcome, Reference, Status
from lookalike._operations import images
from lookalike.fetch import Settings, host_limiter
from lookalike.indexing import Change, Seen, Shard, Watch, pipeline
from lookalike.indexing.calls import Calls
from lookalike.indexing.storing import Storing
from tests.pictures import jpeg
from tests.polling import until


@pytest.fixture
def client(quick_client: Client) -> Client:
    """With a model that costs nothing."""
    return quick_client


@pytest.fixture
def project(quick_project: str) -> str:
    return quick_project


def picture(number: int) -> bytes:
    """One of many that are all different."""
    return jpeg(64 + number // 500, 16 + number % 500)


def files(folder: Path, numbers: Sequence[int]) -> list[Item]:
    """Pictures as files, and as items that name them only."""
    for number in numbers:
        (folder / f"{number}.jpg").write_bytes(picture(number))
    return [Item(None, (folder / f"{number}.jpg").as_uri(), f"p{number % 3}") for number in numbers]


async def index(
    client: Client, project: str, items: Sequence[Item], **settings: object
) -> tuple[dict[str, Outcome], Watch]:
    """The outcome of each item, of which there is one; and what was done."""
    watch = Watch()
    fetch = Settings(**settings)
    outcomes = [outcome async for outcome in client.index(project, items, fetch=fetch, watch=watch)]
    assert Counter(outcome.uri for outcome in outcomes) == Counter(item.uri for item in items)
    assert not any(watch.stages.values())
    return {outcome.uri: outcome for outcome in outcomes}, watch


def statuses(outcomes: dict[str, Outcome]) -> dict[Status, int]:
    return dict(Counter(outcome.status for outcome in outcomes.values()))


async def test_a_rerun_reads_nothing_and_then_only_what_was_touched(
    client: Client, project: str, tmp_path: Path
) -> None:
    items = files(tmp_path, range(300))
    outcomes, watch = await index(client, project, items)
    assert (statuses(outcomes), watch.fetched, watch.embedded) == ({Status.INDEXED: 300}, 300, 300)
    outcomes, watch = await index(client, project, items)
    assert (statuses(outcomes), watch.fetched, watch.embedded) == ({Status.UNCHANGED: 300}, 0, 0)

    os.utime(tmp_path / "1.jpg", (1, 1))  # the same image, as far as anybody can see
    (tmp_path / "2.jpg").write_bytes(picture(1000))
    (tmp_path / "3.jpg").unlink()
    items[4] = Item(None, items[4].uri, items[4].product, labels={"colour": "red"})
    items[5] = Item(None, items[5].uri, "another")
    outcomes, watch = await index(client, project, items)
    changed = {uri: outcome for uri, outcome in outcomes.items() if outcome.status is not Status.UNCHANGED}
    assert {Path(uri).stem: outcome.status for uri, outcome in changed.items()} == {
        **dict.fromkeys("245", Status.INDEXED),
        "3": Status.FAILED,
    }
    assert (watch.fetched, watch.embedded) == (3, 1)
    relabelled = await client.get_image(project, uri=items[4].uri)
    assert [reference.labels for reference in relabelled.references] == [{"colour": "red"}]

    outcomes, watch = await index(client, project, items)
    assert (statuses(outcomes), watch.fetched) == ({Status.UNCHANGED: 299, Status.FAILED: 1}, 0)


async def test_a_file_that_is_replaced_by_one_of_the_same_size_and_time_is_read_again(
    client: Client, project: str, tmp_path: Path
) -> None:
    items = files(tmp_path, range(2))
    path, other = tmp_path / "0.jpg", tmp_path / "1.jpg"
    size = max(path.stat().st_size, other.stat().st_size)
    for file in (path, other):
        file.write_bytes(file.read_bytes().ljust(size, b"\0"))
    await index(client, project, items[:1])
    status = path.stat()
    other.rename(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    outcomes, watch = await index(client, project, items[:1])
    assert (statuses(outcomes), watch.embedded) == ({Status.INDEXED: 1}, 1)


async def test_everything_is_read_again_where_that_is_asked_for(client: Client, project: str, tmp_path: Path) -> None:
    items = files(tmp_path, range(3))
    await index(client, project, items)
    outcomes, watch = await index(client, project, items, reread=True)
    assert (statuses(outcomes), watch.fetched, watch.embedded) == ({Status.UNCHANGED: 3}, 3, 0)


async def test_items_with_paths_are_not_read_again_either(client: Client, project: str, tmp_path: Path) -> None:
    files(tmp_path, range(3))
    items = [Item(tmp_path / f"{number}.jpg", f"https://shop/{number}.jpg") for number in range(3)]
    await index(client, project, items)
    outcomes, watch = await index(client, project, items)
    assert (statuses(outcomes), watch.fetched) == ({Status.UNCHANGED: 3}, 0)


async def test_what_is_broken_fails_alone_whatever_it_is(client: Client, project: str, tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "text.jpg").write_text("no image")
    names = {
        "folder.jpg": "UNREADABLE",
        "text.jpg": "UNSUPPORTED_FORMAT",
        "missing.jpg": "UNREADABLE",
    }
    odd = {"file://[x": "INVALID_URI", "nothing": "INVALID_URI", "http://[": "INVALID_URI", "odd://x": "INVALID_URI"}
    items = [*files(tmp_path, range(2)), *(Item(None, (tmp_path / name).as_uri()) for name in names)]
    items += [Item(None, uri) for uri in odd]
    outcomes, _ = await index(client, project, items)
    reasons = {uri: outcome.error.reason for uri, outcome in outcomes.items() if outcome.error}
    assert reasons == {**{(tmp_path / name).as_uri(): reason for name, reason in names.items()}, **odd}


async def test_duplicates_are_embedded_once_however_close_together_they_come(
    client: Client, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if one of them is stored just while the project is asked whether it holds the other."""
    check, begun = images.check, asyncio.Event()
    first_is_stored = asyncio.Event()
    asked = 0

    async def slow_check(*arguments: object, **options: object) -> set[bytes]:
        nonlocal asked
        asked += 1
        if asked != 2:
            return await check(*arguments, **options)
        begun.set()
        known = await check(*arguments, **options)
        await first_is_stored.wait()
        return known

    monkeypatch.setattr(images, "check", slow_check)
    hold = asyncio.Event()
    store = Storing.put

    def put(self: Storing, job: object, answer: object) -> None:
        async def later() -> None:
            await begun.wait()
            store(self, job, answer)

        if hold.is_set():
            store(self, job, answer)
        else:
            hold.set()
            tasks.append(asyncio.create_task(later()))

    tasks: list[asyncio.Task[None]] = []
    monkeypatch.setattr(Storing, "put", put)

    async def items() -> AsyncIterator[Item]:
        yield Item(picture(0), "first")
        await until(lambda: asyncio.sleep(0, watch.embedded))
        yield Item(picture(0), "second")
        await begun.wait()

    watch = Watch()
    found = []
    async for outcome in client.index(project, items(), watch=watch):
        found.append((outcome.uri, outcome.status))
        first_is_stored.set()
    assert found == [("first", Status.INDEXED), ("second", Status.INDEXED)]
    assert watch.embedded == 1


async def test_many_duplicates_are_embedded_once(client: Client, project: str) -> None:
    items = [Item(picture(number % 40), f"https://shop/{number}.jpg") for number in range(2000)]
    outcomes, watch = await index(client, project, items)
    assert (statuses(outcomes), watch.embedded) == ({Status.INDEXED: 2000}, 40)


async def test_an_image_that_goes_between_the_question_and_its_storing_is_indexed_all_the_same(
    client: Client, project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project is asked, says that it holds the image, and then somebody deletes it."""
    [item] = files(tmp_path, [0])
    await index(client, project, [item])
    check = Calls.check_references

    async def check_and_delete(self: Calls, references: object) -> object:
        states = await check(self, references)
        await client.delete_images(project, uris=[item.uri])
        return states

    monkeypatch.setattr(Calls, "check_references", check_and_delete)
    relabelled = Item(None, item.uri, item.product, labels={"size": "m"})
    outcomes, watch = await index(client, project, [relabelled])
    assert (statuses(outcomes), watch.embedded) == ({Status.INDEXED: 1}, 1)
    assert (await client.get_project(project)).image_count == 1


async def test_a_plan_says_what_would_be_done_and_nothing_is(client: Client, project: str, tmp_path: Path) -> None:
    items = files(tmp_path, range(6))
    await index(client, project, items[:4])
    (tmp_path / "1.jpg").write_bytes(picture(1000))
    items[2] = Item(None, items[2].uri, items[2].product, labels={"colour": "red"})
    (tmp_path / "3.jpg").unlink()
    (tmp_path / "5.jpg").unlink()
    items.append(Item(picture(0), items[0].uri + "x"))
    items.append(Item(None, "x" * 3000 + "\udcff"))
    before = await client.get_project(project)
    plans = [plan async for plan in client.plan_index(project, items)]
    assert [plan.uri for plan in plans] == [item.uri for item in items]
    assert [plan.change for plan in plans] == [
        *(Change.UNCHANGED, Change.CHANGED, Change.CHANGED, Change.FAILED),
        *(Change.NEW, Change.FAILED, Change.NEW, Change.FAILED),
    ]
    assert [bool(plan.error) for plan in plans] == [plan.change is Change.FAILED for plan in plans]
    assert await client.get_project(project) == before


async def unseen(client: Client, project: str, items: Sequence[Item], **options: object) -> list[Reference]:
    with Seen() as seen:
        for item in items:
            seen.add(item)
        found = client.unseen_references(project, seen, **options)
        return [reference async for page in found for reference in page]


async def test_exactly_what_the_manifest_lacks_is_unseen_within_prefixes_and_shares(
    client: Client, project: str
) -> None:
    items = [Item(picture(0), f"{folder}/{number}", "hat") for folder in "ab" for number in range(400)]
    others = [Item(picture(0), item.uri, "bag") for item in items[:5]]
    await index(client, project, [*items, *others])
    kept = [item for number, item in enumerate(items) if number % 10]
    lacking = {(item.uri, item.product) for item in [*items[::10], *others]}

    def named(references: list[Reference]) -> set[tuple[str, str]]:
        names = {(one.uri, one.product) for one in references}
        assert len(names) == len(references)
        return names

    assert named(await unseen(client, project, kept)) == lacking
    within = {(uri, product) for uri, product in lacking if uri.startswith("b/")}
    assert named(await unseen(client, project, kept, within="b/")) == within
    shares = [named(await unseen(client, project, kept, shard=Shard(number, 3))) for number in range(3)]
    assert all(shares)
    assert sum(map(len, shares)) == len(lacking)
    assert set.union(*shares) == lacking

    await client.delete_references(project, await unseen(client, project, kept))
    assert await unseen(client, project, kept) == []
    assert (await client.get_project(project)).reference_count == len(kept)


async def test_two_indexers_of_the_same_items_do_each_of_them_once(client: Client, project: str) -> None:
    items = [Item(picture(number % 400), f"https://shop/{number}.jpg") for number in range(600)]
    (first, _), (second, _) = await asyncio.gather(index(client, project, items), index(client, project, items[::-1]))
    for item in items:
        assert Status.INDEXED in {first[item.uri].status, second[item.uri].status}
        assert Status.FAILED not in {first[item.uri].status, second[item.uri].status}
    found = await client.get_project(project)
    assert (found.image_count, found.reference_count) == (400, 600)


async def test_two_indexers_of_two_shares_do_no_work_twice(client: Client, project: str) -> None:
    items = [Item(picture(number), f"https://shop/{number}.jpg") for number in range(400)]
    shares = [[item for item in items if Shard(number, 2).has(item.uri)] for number in range(2)]
    done = await asyncio.gather(*(index(client, project, share) for share in shares))
    assert sum(watch.embedded for _, watch in done) == 400
    assert (await client.get_project(project)).reference_count == 400


@pytest.mark.parametrize("how", ["files", "bytes"])
async def test_an_endless_source_is_taken_only_as_outcomes_are(
    client: Client, project: str, tmp_path: Path, how: str
) -> None:
    [file] = files(tmp_path, [0])
    taken = 0

    def endless() -> Iterator[Item]:
        nonlocal taken
        for number in itertools.count():
            taken += 1
            uri = f"{file.uri}?{number}"
            yield Item(None, uri) if how == "files" else Item(picture(0), uri)

    outcomes = client.index(project, endless())
    for seen in range(1, 3000):
        assert (await anext(outcomes)).status is Status.INDEXED
        assert taken <= seen + 2 * pipeline.MAX_ITEMS
    await outcomes.aclose()


_OF_A_RUN = ("Pipeline", "Storing", "ResumableStream", "StreamPool", "_read")


def ours() -> list[str]:
    """Where the tasks are that a run has begun; those of the servers in this process are not of them."""
    coroutines = [str(task.get_coro()) for task in asyncio.all_tasks()]
    return [one for one in coroutines if any(f" {name}" in one for name in _OF_A_RUN)]


async def test_a_run_that_is_ended_leaves_nothing_running(client: Client, project: str, tmp_path: Path) -> None:
    items = files(tmp_path, range(50))
    for taken in (0, 1, 30):
        closed = False

        async def source() -> AsyncIterator[Item]:
            nonlocal closed
            try:
                for item in itertools.cycle(items):
                    yield item
            finally:
                closed = True

        given = source()
        outcomes = client.index(project, given)
        for _ in range(taken):
            await anext(outcomes)
        await outcomes.aclose()
        await given.aclose()
        await until(lambda: asyncio.sleep(0, not ours()))
        assert closed or not taken


class Host:
    """A web server of pictures that can be down."""

    def __init__(self) -> None:
        self.up = True
        self.asked: Counter[str] = Counter()
        self.refused = asyncio.Event()
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.asked[request.path] += 1
        if not self.up:
            self.refused.set()
            return web.Response(status=503)
        number = int(Path(request.path).stem)
        return web.Response(body=picture(number), headers={"ETag": f'"{number}"'})

    def items(self, numbers: Sequence[int]) -> list[Item]:
        return [Item(None, f"http://127.0.0.1:{self.port}/{number}.jpg") for number in numbers]


@pytest.fixture
async def hosts() -> AsyncIterator[list[Host]]:
    hosts, runners = [Host(), Host()], []
    for host in hosts:
        runners.append(runner := web.ServerRunner(web.Server(host.answer), shutdown_timeout=0.1))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host.port = runner.addresses[0][1]
    yield hosts
    for runner in runners:
        await runner.cleanup()


async def test_images_of_a_host_that_is_down_are_put_off_until_it_is_back_while_others_go_on(
    client: Client, project: str, hosts: list[Host]
) -> None:
    down, up = hosts
    down.up = False
    mixed = [item for pair in zip(down.items(range(600)), up.items(range(600)), strict=True) for item in pair]
    watch, seen = Watch(), Counter[str]()
    async for outcome in client.index(project, mixed, watch=watch, fetch=Settings(attempts=1)):
        assert outcome.status is Status.INDEXED, outcome
        seen[outcome.uri] += 1
        if seen.total() == 600:
            assert all(item.uri in seen for item in mixed[1::2])
            down.up = True
    assert down.refused.is_set()
    assert seen == Counter({item.uri: 1 for item in mixed})
    assert (watch.embedded, watch.put_off) == (600, 0)


async def test_a_host_that_stays_down_is_given_up(client: Client, project: str, hosts: list[Host]) -> None:
    down, up = hosts
    down.up = False
    outcomes, _ = await index(
        client, project, [*down.items(range(30)), *up.items(range(30))], attempts=1, patience=0, per_host=4
    )
    assert statuses(outcomes) == {Status.INDEXED: 30, Status.FAILED: 30}
    reasons = Counter(outcome.error.reason for outcome in outcomes.values() if outcome.error)
    assert reasons["HOST_UNAVAILABLE"] > 20
    assert down.asked.total() < 20


async def test_an_image_that_always_fails_is_given_up_while_its_host_gives_others(
    client: Client, project: str, hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it is the last one, so that nothing else shows that the host is up."""
    host, _ = hosts
    answer = host.answer

    async def answer_most(request: web.Request) -> web.Response:
        found = await answer(request)
        return web.Response(status=502) if request.path in ("/7.jpg", "/8.jpg", "/9.jpg", "/10.jpg") else found

    monkeypatch.setattr(host, "answer", answer_most)
    runner = web.ServerRunner(web.Server(answer_most), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host.port = runner.addresses[0][1]
    outcomes, _ = await index(client, project, host.items(range(11)), attempts=1)
    await runner.cleanup()
    failed = {uri: outcome.error.reason for uri, outcome in outcomes.items() if outcome.error}
    assert failed == {item.uri: "HTTP_502" for item in host.items([7, 8, 9, 10])}
    assert all(host.asked[f"/{number}.jpg"] == 3 for number in (7, 8, 9, 10))


async def test_an_image_is_read_from_its_path_and_keeps_its_uri_and_stamp_while_that_moves(
    client: Client, project: str, hosts: list[Host], tmp_path: Path
) -> None:
    """A new signature is no new place; another file is, though it has the same stamp."""
    host, _ = hosts

    def item(path: str) -> Item:
        return Item(None, "sku/1", "hat", path=path)

    url = f"http://127.0.0.1:{host.port}/1.jpg"
    for path, status, fetched in (
        (f"{url}?signature=1", Status.INDEXED, 1),
        (f"{url}?signature=2", Status.UNCHANGED, 0),
        (f"http://localhost:{host.port}/1.jpg", Status.UNCHANGED, 1),
        (files(tmp_path, [1])[0].uri, Status.UNCHANGED, 1),
        (files(tmp_path, [2])[0].uri, Status.INDEXED, 1),
        ((tmp_path / "2.jpg").as_uri(), Status.UNCHANGED, 0),
    ):
        outcomes, watch = await index(client, project, [item(path)])
        assert (outcomes["sku/1"].status, watch.fetched) == (status, fetched), path
    [image] = [image async for image in client.list_images(project)]
    assert [reference.uri for reference in image.references] == ["sku/1"]


async def test_an_image_that_is_always_refused_ends_its_run_while_its_host_serves_others(
    client: Client, project: str, hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a 429, which speaks of all requests; also where it is the first one, and the others must wait for it."""
    host, _ = hosts

    async def answer(request: web.Request) -> web.Response:
        host.asked[request.path] += 1
        if request.path == "/0.jpg":
            return web.Response(status=429, headers={"Retry-After": "0.1"})
        return web.Response(body=picture(int(Path(request.path).stem)))

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host.port = runner.addresses[0][1]
    outcomes, _ = await index(client, project, host.items(range(11)), attempts=1, per_host=1)
    await runner.cleanup()
    failed = {uri: outcome.error.reason for uri, outcome in outcomes.items() if outcome.error}
    assert failed == {host.items([0])[0].uri: "HTTP_429"}
    assert host.asked["/0.jpg"] < 10


async def test_a_name_that_does_not_resolve_fails_alone(
    client: Client, project: str, hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_limiter, "_FIRST_PAUSE_SECONDS", 0.001)
    nowhere = [Item(None, f"http://nowhere.invalid/{n}.jpg") for n in range(3)]
    outcomes, _ = await index(client, project, [*nowhere, *hosts[0].items(range(3))])
    reasons = {uri: outcome.error.reason for uri, outcome in outcomes.items() if outcome.error}
    assert reasons == {item.uri: "HOST_NOT_FOUND" for item in nowhere}


async def test_a_run_that_waits_says_for_whom_and_gives_back_what_waits_when_it_is_ended(
    client: Client, project: str, hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, up = hosts

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "600"})

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host.port = runner.addresses[0][1]
    left: list[Outcome] = []
    watch = Watch(unfinished=left.append)
    items = [*host.items(range(3)), *up.items(range(3))]
    done: list[Outcome] = []

    async def run() -> None:
        async for outcome in client.index(project, items, watch=watch, fetch=Settings(attempts=1)):
            done.append(outcome)  # noqa: PERF401 - what was done when the run is ended counts

    running = asyncio.create_task(run())
    await until(lambda: asyncio.sleep(0, bool(watch.waiting)))
    [waiting] = watch.waiting
    assert waiting.host == f"127.0.0.1:{host.port}"
    assert "answered 429" in waiting.why
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await runner.cleanup()
    assert statuses({outcome.uri: outcome for outcome in done}) == {Status.INDEXED: 3}
    assert {outcome.uri for outcome in left} == {item.uri for item in host.items(range(3))}
    assert all(outcome.item and outcome.error and "answered 429" in str(outcome.error) for outcome in left)


async def test_a_rerun_over_a_host_asks_for_what_has_changed_only(
    client: Client, project: str, hosts: list[Host]
) -> None:
    host, _ = hosts
    await index(client, project, host.items(range(20)))
    outcomes, watch = await index(client, project, host.items(range(20)))
    assert statuses(outcomes) == {Status.UNCHANGED: 20}
    assert (watch.fetched, watch.embedded) == (0, 0)
