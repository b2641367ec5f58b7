"""A search for duplicates: over the real searcher, and over one that plays what it is told and loses the connection."""

import asyncio
import itertools
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status
from PIL import Image

from lookalike import (
    Client,
    DeadlineExceededError,
    DuplicateCluster,
    DuplicateProgress,
    InvalidRequestError,
    Item,
    LookalikeError,
    NotFoundError,
    QuotaExceededError,
    UnavailableError,
)
from lookalike._transport import retry, server_stream
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1 import searcher_pb2_grpc
from lookalike_embedder.config import Config
from lookalike_searcher.errors import STATUS, DatabaseTimeout, InvalidField
from lookalike_searcher.quota import QuotaExceeded
from lookalike_serving.errors import ShuttingDown
from lookalike_serving.server import Server
from tests import colour_embedder
from tests.integration.conftest import address
from tests.pictures import encoded, jpeg

Context = grpc.aio.ServicerContext[Any, Any]
Ending = Callable[[Context], Awaitable[None]]
Play = list[wire.FindDuplicatesResponse | Ending]


def sign(number: int) -> wire.FindDuplicatesResponse:
    """So many images are examined, and nothing is found."""
    return wire.FindDuplicatesResponse(resume_token=f"after {number}", examined_count=number, image_count=9)


def cluster(number: int) -> wire.FindDuplicatesResponse:
    """Two images are found."""
    answer = sign(number)
    answer.cluster.image_count = 2
    for similarity in (1.0, 0.97):
        image = wire.Image(sha256=bytes([number]) * 32, references=[wire.Reference(uri=f"{number}.jpg")])
        answer.cluster.images.append(wire.DuplicateImage(image=image, similarity=similarity))
    return answer


def ends(*, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE, error: Any = None) -> Ending:  # noqa: ANN401
    """The call ends there, with what gRPC or the searcher says."""

    async def end(context: Context) -> None:
        status = rpc_status.to_status(STATUS.status(error)) if error else None
        if status:
            await context.abort(status.code, status.details, status.trailing_metadata)
        await context.abort(code, "ended")

    return end


async def hangs(_: Context) -> None:
    """Nothing more comes."""
    await asyncio.Event().wait()


class Player(searcher_pb2_grpc.SearcherServiceServicer):
    """Plays one list for each call, and notes what it was asked."""

    def __init__(self) -> None:
        self.plays: list[Play] = []
        self.asked: list[wire.FindDuplicatesRequest] = []
        self.left = asyncio.Event()

    async def GetProject(self, request: Any, context: Any) -> wire.GetProjectResponse:  # noqa: ANN401, N802
        if request.name == "nowhere":
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such project")
        return wire.GetProjectResponse(project=wire.Project(name=request.name))

    async def FindDuplicates(self, request: Any, context: Any) -> AsyncIterator[wire.FindDuplicatesResponse]:  # noqa: ANN401, N802
        self.asked.append(request)
        play = self.plays.pop(0) if len(self.plays) > 1 else self.plays[0]
        try:
            for step in play:
                if isinstance(step, wire.FindDuplicatesResponse):
                    yield step
                else:
                    await step(context)
        finally:
            self.left.set()

    @property
    def tokens(self) -> list[str]:
        """With which resume tokens it was asked."""
        return [request.resume_token for request in self.asked]


@pytest.fixture
def player() -> Player:
    return Player()  # type: ignore[abstract] # the other methods are not called here


@pytest.fixture
async def player_address(player: Player) -> AsyncIterator[str]:
    server = grpc.aio.server()
    searcher_pb2_grpc.add_SearcherServiceServicer_to_server(player, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)


@pytest.fixture
async def impatient_client(player_address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setattr(retry, "_FIRST_DELAY_SECONDS", 0.0)
    async with Client(searcher=player_address, timeout=30) as client:
        yield client


async def found(client: Client, **options: Any) -> list[str]:  # noqa: ANN401 - those of find_duplicates
    clusters = [one async for one in client.find_duplicates("shop", **options)]
    return [one.images[0].image.references[0].uri for one in clusters]


async def test_clusters_come_with_their_images_and_the_progress(impatient_client: Client, player: Player) -> None:
    player.plays = [[sign(1), cluster(4), sign(9)]]
    told: list[DuplicateProgress] = []
    options = {"min_similarity": 0.75, "same_file_only": True, "resume_token": "begin here"}
    clusters = [one async for one in impatient_client.find_duplicates("shop", on_progress=told.append, **options)]
    asked = wire.FindDuplicatesRequest(project="shop", verify=True, keep=wire.KEEP_RULE_LARGEST, **options)
    assert player.asked == [asked]
    [one] = clusters
    assert isinstance(one, DuplicateCluster)
    assert (one.image_count, one.progress) == (2, DuplicateProgress(4, 9, "after 4"))
    assert [image.similarity for image in one.images] == pytest.approx([1, 0.97])
    assert one.images[1].image.sha256 == (bytes([4]) * 32).hex()
    assert [progress.examined_count for progress in told] == [1, 4, 9]


@pytest.mark.parametrize(
    "ending",
    [
        ends(),
        ends(error=ShuttingDown()),
        ends(code=grpc.StatusCode.INTERNAL),
        ends(error=QuotaExceeded.busy("shop", 200, 0.5, 0.01)),
        ends(error=DatabaseTimeout()),
    ],
)
async def test_a_lost_search_goes_on_where_it_was(impatient_client: Client, player: Player, ending: Ending) -> None:
    player.plays = [[ending], [cluster(1), sign(3), ending], [cluster(5), ending], [ending], [cluster(9)]]
    assert await found(impatient_client) == ["1.jpg", "5.jpg", "9.jpg"]
    assert player.tokens == ["", "", "after 3", "after 5", "after 5"]


@pytest.fixture
def hasty_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two failures 40 seconds pass."""
    clock = itertools.count(1, 40)
    monkeypatch.setattr(retry, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))


@pytest.mark.usefixtures("hasty_clock")
async def test_a_search_that_comes_no_further_is_given_up(impatient_client: Client, player: Player) -> None:
    """An answer that repeats where it was is no progress."""
    player.plays = [[cluster(1), ends()], [sign(1), ends()]]
    with pytest.raises(UnavailableError) as caught:
        await found(impatient_client)
    assert caught.value.request_id
    assert player.tokens == ["", "after 1", "after 1"]


@pytest.mark.usefixtures("hasty_clock")
async def test_progress_gives_new_patience(impatient_client: Client, player: Player) -> None:
    player.plays = [[cluster(1), ends()], [cluster(2), ends()], [cluster(3), ends()], [cluster(4), ends()]]
    player.plays += [[cluster(5), ends()], [cluster(9)]]
    assert len(await found(impatient_client)) == 6


@pytest.fixture
def short_silence(impatient_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_stream, "_SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(impatient_client._servers, "timeout", 0.1)


@pytest.mark.usefixtures("short_silence")
async def test_a_searcher_that_falls_silent_is_asked_again(player: Player, impatient_client: Client) -> None:
    player.plays = [[cluster(1), hangs], [cluster(2)]]
    assert await found(impatient_client) == ["1.jpg", "2.jpg"]
    assert player.tokens == ["", "after 1"]


@pytest.mark.usefixtures("short_silence")
async def test_a_searcher_that_stays_silent_is_given_up(
    player: Player, impatient_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.01)
    player.plays = [[hangs]]
    with pytest.raises(DeadlineExceededError, match=r"no answer for 0\.2 s"):
        await found(impatient_client)


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        (ends(error=InvalidField("min_similarity", "must be 0.5 to 1", 0.1)), InvalidRequestError),
        (ends(error=QuotaExceeded.images("shop", 1)), QuotaExceededError),
    ],
)
async def test_what_would_fail_again_ends_the_search(
    impatient_client: Client, player: Player, ending: Ending, kind: type[LookalikeError]
) -> None:
    player.plays = [[cluster(1), ending]]
    with pytest.raises(kind):
        await found(impatient_client)
    assert len(player.asked) == 1


async def test_what_is_wrong_from_the_beginning_is_said_at_once(impatient_client: Client) -> None:
    with pytest.raises(NotFoundError):
        await anext(impatient_client.find_duplicates("nowhere"))
    with pytest.raises(InvalidRequestError):
        await anext(impatient_client.find_duplicates("shop", resume_token="\udcff"))  # noqa: S106
    async with Client(searcher="127.0.0.1:1", timeout=5) as alone:
        with pytest.raises(UnavailableError):
            await anext(alone.find_duplicates("shop"))


async def test_one_who_stops_early_leaves_nothing_running(impatient_client: Client, player: Player) -> None:
    player.plays = [[cluster(1), hangs]]
    async with aclosing(impatient_client.find_duplicates("shop")) as clusters:
        await anext(clusters)
    await player.left.wait()


async def test_a_client_that_is_closed_meanwhile_says_so(impatient_client: Client, player: Player) -> None:
    player.plays = [[cluster(1), hangs]]
    clusters = impatient_client.find_duplicates("shop")
    await anext(clusters)
    await impatient_client.close()
    with pytest.raises(LookalikeError, match="the client is closed"):
        await anext(clusters)


async def test_a_command_that_is_interrupted_says_how_to_go_on(player: Player, player_address: str) -> None:
    player.plays = [[cluster(1), hangs]]
    command = Path(sys.executable).parent / "lookalike"
    process = await asyncio.create_subprocess_exec(
        *(command, "duplicates", "shop", "--json", "--searcher", player_address),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert b'"imageCount": 2' in await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, told = await process.communicate()
    assert told.decode().splitlines()[-1] == "to go on from here: --resume after 1"
    assert process.returncode == 130


async def test_the_duplicates_of_a_catalogue_are_found(embedder_config: Config, searcher: Server) -> None:
    """Over the real searcher: near duplicates, a file in two places, and neither of what is there once."""
    pictures = {
        "red": jpeg(64, 48, "red"),
        "blue": jpeg(64, 48, "blue"),
        "green": jpeg(64, 48, "green"),
        "red-large": jpeg(128, 96, "red"),
    }
    items = [Item(data, name) for name, data in pictures.items()]
    async with (
        colour_embedder.embedder(embedder_config, "a") as embedder,
        Client(address(embedder), address(searcher)) as client,
    ):
        project = f"test-{uuid.uuid4().hex[:12]}"
        await client.create_project(project)
        for item in [*items, Item(pictures["blue"], "blue-again")]:
            assert [outcome.error async for outcome in client.index(project, [item])] == [None]
        told: list[DuplicateProgress] = []

        async def clusters(**options: Any) -> list[list[str]]:  # noqa: ANN401 - those of find_duplicates
            told.clear()
            return [
                [reference.uri for found in one.images for reference in found.image.references]
                async for one in client.find_duplicates(project, on_progress=told.append, **options)
            ]

        assert await clusters() == [["red-large", "red"], ["blue", "blue-again"]]  # first what is to be kept
        assert (told[-1].examined_count, told[-1].image_count) == (4, 4)
        assert await clusters(resume_token=told[0].resume_token) == [["blue", "blue-again"]]
        assert await clusters(same_file_only=True) == [["blue", "blue-again"]]
        for name, size in (("blank", (90, 90)), ("blank-large", (180, 180)), ("pixel", (1, 1))):
            item = Item(encoded(Image.new("RGB", size, "white"), "PNG"), name)
            assert [outcome.error async for outcome in client.index(project, [item])] == [None]
        assert await clusters() == [["red-large", "red"], ["blue", "blue-again"]]
        result = await client.search(project, image=encoded(Image.new("RGB", (90, 90), "white"), "PNG"), limit=3)
        assert result.query_featureless
        assert {hit.references[0].uri: hit.match for hit in result.hits} == {
            "blank": "exact",
            "blank-large": "similar",
            "pixel": "similar",
        }
        assert all(hit.featureless and hit.similarity > 0.99 for hit in result.hits)
        with pytest.raises(InvalidRequestError):
            await clusters(min_similarity=0.4)
        with pytest.raises(InvalidRequestError):
            await clusters(resume_token="none of ours")  # noqa: S106
        await client.delete_project(project)
