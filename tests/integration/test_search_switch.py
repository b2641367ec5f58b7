"""A project's searches are switched off and on, and nothing else is."""

import pytest

from lookalike import Client, Image, InvalidRequestError, Item, Limits, NotFoundError, PreconditionError, Query
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.database.pool import Database
from lookalike_searcher.projects import registry
from tests.pictures import jpeg


async def index(client: Client, project: str, *items: Item) -> None:
    assert not [outcome.error async for outcome in client.index(project, items) if outcome.error]


async def test_searches_are_refused_while_they_are_off_and_all_else_goes_on(
    quick_client: Client, quick_project: str
) -> None:
    await index(quick_client, quick_project, Item(jpeg(), "first"))
    assert (await quick_client.get_project(quick_project)).search_enabled is True
    switched = await quick_client.update_project(quick_project, search_enabled=False)
    assert switched.search_enabled is False
    with pytest.raises(PreconditionError) as caught:
        await quick_client.search(quick_project, image=jpeg())
    assert (caught.value.reason, caught.value.metadata) == ("SEARCH_DISABLED", {"project": quick_project})
    [failed] = await quick_client.search_batch(quick_project, [Query(uri="first")])
    assert isinstance(failed, PreconditionError)
    assert failed.reason == "SEARCH_DISABLED"
    await index(quick_client, quick_project, Item(jpeg(65), "second"))
    assert [image.references[0].uri async for image in quick_client.list_images(quick_project)] == ["first", "second"]
    assert [cluster.image_count async for cluster in quick_client.find_duplicates(quick_project)] == [2]
    listed = {project.name: project.search_enabled async for project in quick_client.list_projects()}
    assert listed[quick_project] is False
    assert (await quick_client.update_project(quick_project, search_enabled=True)).search_enabled is True
    assert len((await quick_client.search(quick_project, image=jpeg())).hits) == 2


async def test_what_is_left_out_of_an_update_stays(quick_client: Client, quick_project: str) -> None:
    limits = Limits(max_images=7)
    await quick_client.update_project(quick_project, limits=limits)
    off = await quick_client.update_project(quick_project, search_enabled=False)
    assert (off.limits, off.search_enabled) == (limits, False)
    other = await quick_client.update_project(quick_project, limits=Limits())
    assert (other.limits, other.search_enabled) == (Limits(), False)
    both = await quick_client.update_project(quick_project, limits=limits, search_enabled=True)
    assert (both.limits, both.search_enabled) == (limits, True)


async def test_an_update_of_nothing_is_an_error(
    quick_client: Client, quick_project: str, searcher_channel: object
) -> None:
    with pytest.raises(
        InvalidRequestError, match="limits: is required, or else search_disabled or fingerprints_disabled"
    ):
        await quick_client.update_project(quick_project)
    with pytest.raises(NotFoundError):
        await quick_client.update_project("nowhere", search_enabled=False)
    stub = SearcherServiceStub(searcher_channel)
    older = wire.UpdateProjectRequest(name=quick_project, limits=wire.Limits(max_hits=3))  # what older clients send
    assert (await stub.UpdateProject(older)).project.search_disabled is False


async def test_the_searchers_own_rankings_go_on(quick_client: Client, quick_project: str, database: Database) -> None:
    """Of spaces that are compared, and of samples for the recall."""
    await index(quick_client, quick_project, Item(jpeg(), "first"))
    await quick_client.update_project(quick_project, search_enabled=False)
    found = await quick_client.compare_spaces(quick_project, (await registry.get(database, quick_project)).space)
    assert found.sample_count == 1


async def test_a_vector_with_its_files_hash_is_told_from_near_duplicates(
    quick_client: Client, quick_project: str
) -> None:
    await index(quick_client, quick_project, Item(jpeg(), "first"))
    [image] = [image async for image in quick_client.list_images(quick_project)]
    vector = await quick_client.embed(jpeg())
    exact = await quick_client.search(quick_project, embedding=vector, sha256=image.sha256)
    near = await quick_client.search(quick_project, embedding=vector)
    assert [exact.hits[0].match, near.hits[0].match] == ["exact", "near-duplicate"]


async def test_pages_of_images_and_projects_follow_one_another(quick_client: Client, quick_project: str) -> None:
    await index(quick_client, quick_project, *(Item(jpeg(64 + number), str(number)) for number in range(5)))
    whole = [image async for image in quick_client.list_images(quick_project)]
    seen: list[Image] = []
    token = ""
    while True:
        page = await quick_client.image_page(quick_project, page_size=2, page_token=token)
        assert len(page.images) <= 2
        seen += page.images
        if not (token := page.next_page_token):
            break
    assert seen == whole
    names, token = [], ""
    while True:
        projects = await quick_client.project_page(page_size=1, page_token=token)
        names += [project.name for project in projects.projects]
        if not (token := projects.next_page_token):
            break
    assert names == [project.name async for project in quick_client.list_projects()]
    for page_size, page_token in ((-1, ""), (2**40, ""), (1, "none of ours")):
        with pytest.raises(InvalidRequestError):
            await quick_client.image_page(quick_project, page_size=page_size, page_token=page_token)
        with pytest.raises(InvalidRequestError):
            await quick_client.project_page(page_size=page_size, page_token=page_token)
