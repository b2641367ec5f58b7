"""A token of one project, used against another one: directly, and through whatever a request may hold."""

import base64
import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from google.protobuf.message import Message

from lookalike import errors
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher import server as searcher_server
from lookalike_searcher.config import Config
from lookalike_searcher.database.pool import Database
from lookalike_searcher.rpc import page_token
from lookalike_serving import rpc
from lookalike_serving.security.config import Security
from lookalike_serving.security.permissions import PERMISSIONS
from lookalike_serving.server import Server
from tests.indexer import Writer, sha256, vector
from tests.integration.test_tokens import logged
from tests.signing import Signer, bearer, jwks

SPACE = "test-space"
SERVICE = wire.DESCRIPTOR.services_by_name["SearcherService"]
METHODS = [method.name for method in SERVICE.methods]
NAMING = [name for name in METHODS if PERMISSIONS[f"{SERVICE.full_name}/{name}"].projects]
INJECTIONS = [
    "%",
    "_",
    "' OR '1'='1",
    "'; DROP SCHEMA p1 CASCADE; --",
    "\\'; SELECT 1; --",
    "{schema}",
    "$1",
    "https://theirs/%",
    "\u2019 OR 1=1",
]


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.fixture(scope="module")
async def stub(
    database: Database, signer: Signer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SearcherServiceStub]:
    """Of a searcher that asks for tokens, over the same database as one that does not."""
    path = tmp_path_factory.mktemp("keys") / "jwks.json"
    path.write_text(jwks(signer))
    config = Config(data_dir=Path("unused"), port=0, grace=10, maintenance_interval=3600, security=Security(jwks=path))
    async with (
        searcher_server.serving(config, database) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        yield SearcherServiceStub(channel)


@pytest.fixture(scope="module")
async def shops(searcher: Server, searcher_channel: grpc.aio.Channel) -> AsyncIterator[tuple[Writer, Writer]]:
    """Ours with the images 1 and 2, theirs with 3 and 4."""
    anybody = SearcherServiceStub(searcher_channel)
    unique = uuid.uuid4().hex[:8]
    made = tuple(Writer(anybody, f"{name}-{unique}", SPACE) for name in ("ours", "theirs"))
    for number, shop in enumerate(made):
        await anybody.CreateProject(wire.CreateProjectRequest(name=shop.project, space=SPACE))
        seeds = (2 * number + 1, 2 * number + 2)
        await shop.send(*(shop.request(seed, f"https://{('ours', 'theirs')[number]}/{seed}") for seed in seeds))
    yield made[0], made[1]
    for shop in made:
        await anybody.DeleteProject(wire.DeleteProjectRequest(name=shop.project))


@pytest.fixture
def mine(signer: Signer, shops: tuple[Writer, Writer]) -> list[tuple[str, str]]:
    """Everything is allowed, but only with our project."""
    return bearer(signer.token(projects=[shops[0].project], sub="ours"))


def message(method: str, project: str) -> Message:
    """The method's request, which names the project and nothing else."""
    made: Message = SERVICE.methods_by_name[method].input_type._concrete_class()
    if "requests" in made.DESCRIPTOR.fields_by_name:
        made.requests.add(project=project)
    else:
        setattr(made, "project" if "project" in made.DESCRIPTOR.fields_by_name else "name", project)
    return made


async def refusal(
    stub: SearcherServiceStub, method: str, asked: Message | list[Message], metadata: Sequence[tuple[str, str]]
) -> errors.LookalikeError:
    """How the call fails; a stream's, when it is read."""
    call = getattr(stub, method)
    streams = SERVICE.methods_by_name[method]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        if streams.client_streaming:
            [answer async for answer in call(iter(asked if isinstance(asked, list) else [asked]), metadata=metadata)]
        elif streams.server_streaming:
            [answer async for answer in call(asked, metadata=metadata)]
        else:
            await call(asked, metadata=metadata)
    return errors.from_rpc(caught.value, "searcher")


@pytest.mark.parametrize("method", NAMING)
async def test_another_project_is_denied_whether_it_exists_or_not(
    stub: SearcherServiceStub,
    shops: tuple[Writer, Writer],
    mine: list[tuple[str, str]],
    method: str,
) -> None:
    told = set()
    for name in (
        shops[1].project,
        "nobodys",
        "'; DROP SCHEMA p1; --",
        "../ours",
        shops[0].project + "\u0000",
        "x" * 5000,
    ):
        failure = await refusal(stub, method, message(method, name), mine)
        assert (type(failure), failure.reason) == (errors.PermissionDeniedError, "PROJECT_DENIED")
        told.add(str(failure).partition("project")[0])
    assert told == {"the token is not for "}


@pytest.mark.parametrize("method", METHODS)
async def test_every_rpc_needs_its_scope(stub: SearcherServiceStub, signer: Signer, method: str) -> None:
    needed = PERMISSIONS[f"{SERVICE.full_name}/{method}"].scopes
    others = " ".join({"read", "write", "admin", "embed", "*"} - needed)
    asked = message(method, "nobodys") if method in NAMING else wire.ListProjectsRequest()
    assert (await refusal(stub, method, asked, bearer(signer.token(others)))).reason == "SCOPE_MISSING"
    assert (await refusal(stub, method, asked, ())).reason == "TOKEN_MISSING"
    if method in NAMING:  # with the scope it is another matter
        reason = (await refusal(stub, method, asked, bearer(signer.token(" ".join(needed), projects=[])))).reason
        assert reason == "PROJECT_DENIED"


async def test_a_batch_with_one_search_of_another_project_is_denied_as_a_whole(
    stub: SearcherServiceStub,
    shops: tuple[Writer, Writer],
    mine: list[tuple[str, str]],
) -> None:
    own, other = (wire.SearchRequest(project=shop.project, sha256=sha256(1)) for shop in shops)
    assert len((await stub.SearchBatch(wire.SearchBatchRequest(requests=[own]), metadata=mine)).results) == 1
    for requests in [own, other], [other, own]:
        failure = await refusal(stub, "SearchBatch", wire.SearchBatchRequest(requests=requests), mine)
        assert failure.reason == "PROJECT_DENIED"


async def test_a_stream_that_turns_to_another_project_is_ended_and_stores_nothing_there(
    stub: SearcherServiceStub,
    shops: tuple[Writer, Writer],
    mine: list[tuple[str, str]],
) -> None:
    before = await shops[1].counts()
    first, second = shops[0].request(1, "https://ours/1"), shops[0].request(9, "https://evil/9")
    first.project, second.project = shops[0].project, shops[1].project
    assert (await refusal(stub, "IndexImages", [first, second], mine)).reason == "PROJECT_DENIED"
    assert await shops[1].counts() == before


async def test_their_images_are_not_to_be_had_by_hash_uri_or_example(
    stub: SearcherServiceStub,
    shops: tuple[Writer, Writer],
    mine: list[tuple[str, str]],
) -> None:
    ours, theirs, their_uri = shops[0].project, sha256(3), "https://theirs/3"
    for named in {"sha256": theirs}, {"uri": their_uri}:
        for method, asked in {
            "GetImage": wire.GetImageRequest(project=ours, **named),
            "Search": wire.SearchRequest(project=ours, **named),
        }.items():
            assert (await refusal(stub, method, asked, mine)).reason == "IMAGE_NOT_FOUND"
        asked = wire.SearchRequest(project=ours, positives=[wire.Example(**named)])
        assert (await refusal(stub, "Search", asked, mine)).reason == "IMAGE_NOT_FOUND"
    stored = await stub.CheckImages(wire.CheckImagesRequest(project=ours, sha256s=[theirs]), metadata=mine)
    assert not stored.stored_sha256s
    references = [wire.Reference(uri=their_uri)]
    states = await stub.CheckReferences(wire.CheckReferencesRequest(project=ours, references=references), metadata=mine)
    assert not states.states[0].sha256
    deleted = await stub.DeleteImages(wire.DeleteImagesRequest(project=ours, sha256s=[theirs]), metadata=mine)
    assert deleted.deleted_image_count == 0
    assert await shops[1].counts() == (2, 2)


async def test_an_image_of_theirs_is_not_indexed_here_without_its_vector(
    stub: SearcherServiceStub,
    shops: tuple[Writer, Writer],
    mine: list[tuple[str, str]],
) -> None:
    """Else it could be found out whether they have it."""
    asked = shops[0].request(3, "https://ours/3", embedded=False)
    asked.project = shops[0].project
    [answer] = [answer async for answer in stub.IndexImages(iter([asked]), metadata=mine)]
    assert answer.error.reason == "EMBEDDING_NEEDED"


@pytest.mark.parametrize("text", INJECTIONS)
async def test_a_filter_is_never_more_than_a_filter(
    stub: SearcherServiceStub,
    shops: tuple[Writer, Writer],
    mine: list[tuple[str, str]],
    text: str,
) -> None:
    filters = [
        wire.Filter(uri_prefix=text),
        wire.Filter(products=[text]),
        wire.Filter(variants=[text]),
        wire.Filter(labels=[wire.LabelGroup(any_of=[wire.Label(name=text, value=text)])]),
    ]
    project, query = shops[0].project, {"values": vector(3), "space": SPACE}
    for chosen in filters:
        found = await stub.Search(wire.SearchRequest(project=project, embedding=query, filter=chosen), metadata=mine)
        assert not found.hits
        assert found.images_ranked == 0
        listed = await stub.ListImages(wire.ListImagesRequest(project=project, filter=chosen), metadata=mine)
        assert not listed.images
    assert (await refusal(stub, "GetImage", wire.GetImageRequest(project=project, uri=text), mine)).reason == (
        "IMAGE_NOT_FOUND"
    )
    deleted = await stub.DeleteImages(
        wire.DeleteImagesRequest(project=project, uris=[text], products=[text]), metadata=mine
    )
    assert deleted.deleted_reference_count == 0


async def test_a_name_is_never_more_than_a_name(stub: SearcherServiceStub, signer: Signer) -> None:
    everything = bearer(signer.token())
    for name in *INJECTIONS, 'p1"', "p1.image", "pg_catalog; --", "Ours", "ours ", "\u043eurs":
        assert (await refusal(stub, "GetProject", wire.GetProjectRequest(name=name), everything)).reason == (
            "INVALID_FIELD"
        )
    for space in "s'; --", 's"', "a b", "\u0430":
        asked = wire.CreateProjectRequest(name="never-made", space=space)
        assert (await refusal(stub, "CreateProject", asked, everything)).reason == "INVALID_FIELD"


async def test_page_tokens_of_theirs_lead_nowhere_and_forged_ones_not_to_them(
    stub: SearcherServiceStub,
    shops: tuple[Writer, Writer],
    mine: list[tuple[str, str]],
    searcher_channel: grpc.aio.Channel,
) -> None:
    ours, theirs = (shop.project for shop in shops)
    anybody = SearcherServiceStub(searcher_channel)
    for method, kind, start in [
        ("ListImages", wire.ListImagesRequest, {"page_size": 1}),
        ("ListReferences", wire.ListReferencesRequest, {"page_size": 1}),
        ("Search", wire.SearchRequest, {"limit": 1, "embedding": {"values": vector(3), "space": SPACE}}),
    ]:
        page = await getattr(anybody, method)(kind(project=theirs, **start))
        assert page.next_page_token
        stolen = kind(project=ours, **start, page_token=page.next_page_token)
        failure = await refusal(stub, method, stolen, mine)
        assert failure.reason == "INVALID_FIELD"
        but = ("page_token", "limit") if method == "Search" else ("page_token", "page_size")
        position = json.loads(_decoded(page.next_page_token))[1:]
        asked = page_token.digest(kind(project=ours, **start), *but)
        forged = kind(project=ours, **start, page_token=page_token.encode(asked, *position))
        try:
            answer = await getattr(stub, method)(forged, metadata=mine)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT  # noqa: PT017 - one of two good answers
        else:
            assert b"theirs" not in answer.SerializeToString()


async def test_a_resume_token_of_theirs_leads_nowhere(
    stub: SearcherServiceStub,
    shops: tuple[Writer, Writer],
    mine: list[tuple[str, str]],
    searcher_channel: grpc.aio.Channel,
) -> None:
    ours, theirs = (shop.project for shop in shops)
    stream = SearcherServiceStub(searcher_channel).FindDuplicates(wire.FindDuplicatesRequest(project=theirs))
    [*_, last] = [answer async for answer in stream]
    stolen = wire.FindDuplicatesRequest(project=ours, resume_token=last.resume_token)
    assert (await refusal(stub, "FindDuplicates", stolen, mine)).reason == "INVALID_FIELD"
    position = json.loads(_decoded(last.resume_token))[1:]
    asked = page_token.digest(wire.FindDuplicatesRequest(project=ours), "resume_token")
    forged = wire.FindDuplicatesRequest(project=ours, resume_token=page_token.encode(asked, *position))
    assert (await refusal(stub, "FindDuplicates", forged, mine)).reason in ("INVALID_FIELD", "SPACE_NOT_FOUND")


def _decoded(token: str) -> bytes:
    return base64.urlsafe_b64decode(token)


async def test_a_list_shows_the_callers_projects_alone_page_by_page(
    stub: SearcherServiceStub,
    signer: Signer,
    searcher_channel: grpc.aio.Channel,
) -> None:
    anybody, unique = SearcherServiceStub(searcher_channel), uuid.uuid4().hex[:8]
    names = [f"{unique}-{end}" for end in ("a", "a_1", "aa1", "b", "c-1", "c-2", "d")]
    for name in names:
        await anybody.CreateProject(wire.CreateProjectRequest(name=name, space=SPACE))
    allowed = [f"{unique}-a_1", f"{unique}-c-*", f"{unique}-d", "nobodys"]
    metadata, pages, asked = bearer(signer.token(projects=allowed)), [], wire.ListProjectsRequest(page_size=1)
    while True:
        answer = await stub.ListProjects(asked, metadata=metadata)
        pages.append([project.name for project in answer.projects])
        if not answer.next_page_token:
            break
        asked.page_token = answer.next_page_token
    assert pages == [[f"{unique}-{end}"] for end in ("a_1", "c-1", "c-2", "d")]
    forged = wire.ListProjectsRequest(page_token=page_token.encode("projects", ""))
    found = [project.name for project in (await stub.ListProjects(forged, metadata=metadata)).projects]
    assert found == [name for [name] in pages]
    nothing = await stub.ListProjects(wire.ListProjectsRequest(), metadata=bearer(signer.token(projects=[])))
    assert not nothing.projects
    for name in names:
        await anybody.DeleteProject(wire.DeleteProjectRequest(name=name))


async def test_a_stream_ends_itself_when_its_token_does(
    stub: SearcherServiceStub,
    shops: tuple[Writer, Writer],
    mine: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = stub.IndexImages(metadata=mine)
    asked = shops[0].request(1, "https://ours/1")
    asked.project = shops[0].project
    await stream.write(asked)
    assert (await stream.read()).HasField("indexed")
    clock = SimpleNamespace(time=lambda: time.time() + 3600, monotonic=time.monotonic)
    monkeypatch.setattr(rpc, "time", clock)
    await stream.write(asked)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    assert errors.from_rpc(caught.value, "searcher").reason == "STREAM_AGED"


async def test_a_write_is_written_down_with_who_did_how_much_and_a_read_is_not(
    stub: SearcherServiceStub,
    shops: tuple[Writer, Writer],
    mine: list[tuple[str, str]],
) -> None:
    shop, uri = shops[0], "https://ours/20"
    asked, broken = shop.request(20, uri), shop.request(21)
    asked.project, broken.sha256 = shop.project, b"short"
    with logged() as records:
        [_ async for _ in stub.IndexImages(iter([asked, asked, broken]), metadata=[*mine, ("x-request-id", "w-1")])]
        await stub.Search(wire.SearchRequest(project=shop.project, sha256=sha256(1)), metadata=mine)
        await stub.DeleteImages(wire.DeleteImagesRequest(project=shop.project, uris=[uri]), metadata=mine)
        await refusal(stub, "DeleteImages", message("DeleteImages", shop.project), mine)
        await refusal(stub, "Search", message("Search", shops[1].project), mine)
    found = [vars(record) for record in records]
    assert {one["subject"] for one in found} == {"ours"}
    written, deleted, invalid, denied = found
    assert written["counts"] == {"indexed": 1, "unchanged": 1, "failed": 1}
    assert (written["request_id"], written["code"], written["projects"]) == ("w-1", "OK", [shop.project])
    assert written["method"] == f"{SERVICE.full_name}/IndexImages"
    assert deleted["counts"] == {"deleted_references": 1, "deleted_images": 1}
    assert (invalid["code"], invalid["reason"]) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert (denied["code"], denied["reason"], denied["projects"]) == (
        "PERMISSION_DENIED",
        "PROJECT_DENIED",
        [shops[1].project],
    )
