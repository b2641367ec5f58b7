"""The duplicates of a project, over a real socket and a real PostgreSQL: by comparing all, and through the index."""

import asyncio
import itertools
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from lookalike import InvalidRequestError, LookalikeError, errors
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher import server as searcher_server
from lookalike_searcher.config import Config
from lookalike_searcher.copies.comparison_threads import ComparisonThreads
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.duplicates import approximate, duplicates, exact, files, sketch, survey
from lookalike_searcher.duplicates.approximate import Lookup
from lookalike_searcher.duplicates.cluster import ClusterReader
from lookalike_searcher.duplicates.duplicates import Duplicates, Progress
from lookalike_searcher.duplicates.exact import Scan
from lookalike_searcher.duplicates.neighbours import TOLERANCE, Pairs
from lookalike_searcher.duplicates.query import DuplicateQuery
from lookalike_searcher.duplicates.scope import Scope
from lookalike_searcher.errors import NotFound
from lookalike_searcher.images import reading
from lookalike_searcher.images.image import Image
from lookalike_searcher.indexes import index
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.space_reader import SpaceReader
from tests.duration import LONG
from tests.indexer import sha256

SPACE = "of-these-tests"
IMAGES = 160
THREADS = ComparisonThreads(1)
"""They are not used here: these images have no fingerprints."""
ELSEWHERE = wire.Reference(uri="elsewhere.jpg")
Clusters = list[list[int]]


@pytest.fixture(scope="module")
def stub(searcher_channel: grpc.aio.Channel) -> SearcherServiceStub:
    return SearcherServiceStub(searcher_channel)


@pytest.fixture
async def shop(stub: SearcherServiceStub) -> AsyncIterator["Shop"]:
    """An empty project."""
    name = f"duplicates-{uuid.uuid4().hex[:12]}"
    await stub.CreateProject(wire.CreateProjectRequest(name=name, space=SPACE))
    yield Shop(stub, name)
    await stub.DeleteProject(wire.DeleteProjectRequest(name=name))


class Shop:
    """A project whose images are numbers, in the order in which they are put there."""

    def __init__(self, stub: SearcherServiceStub, project: str) -> None:
        self.stub, self.project = stub, project
        self.numbers: dict[bytes, int] = {}

    async def put(
        self,
        vectors: np.ndarray,
        *,
        space: str = SPACE,
        featureless: Collection[int] = (),
        names: Sequence[int] | None = None,
    ) -> None:
        """The next images, each used at `<number>.jpg`; unless they have names, numbered as they come."""
        first = len(self.numbers)
        numbers = names or range(first, first + len(vectors))
        self.numbers |= {sha256(number): number for number in numbers}
        entries = [
            wire.ImageEntry(
                sha256=sha256(number),
                embedding=common.Embedding(space=space, values=values, featureless=number in featureless),
                reference=wire.Reference(uri=f"{number}.jpg"),
            )
            for number, values in zip(numbers, vectors, strict=True)
        ]
        await self._index(entries)

    async def use(self, number: int, *references: wire.Reference) -> None:
        """An image that is there, in further places."""
        await self._index([wire.ImageEntry(sha256=sha256(number), reference=reference) for reference in references])

    async def _index(self, entries: Sequence[wire.ImageEntry]) -> None:
        async def stream() -> AsyncIterator[wire.IndexImagesRequest]:
            for start in range(0, len(entries), 400):
                yield wire.IndexImagesRequest(project=self.project, entries=entries[start : start + 400])

        async for answer in self.stub.IndexImages(stream()):
            assert not any(result.HasField("error") for result in answer.entries.results), answer

    async def delete(self, *numbers: int) -> None:
        hashes = [sha256(number) for number in numbers]
        await self.stub.DeleteImages(wire.DeleteImagesRequest(project=self.project, sha256s=hashes))

    def asked(self, **fields: object) -> wire.FindDuplicatesRequest:
        return wire.FindDuplicatesRequest(project=self.project, **fields)

    async def answers(self, **fields: object) -> list[wire.FindDuplicatesResponse]:
        return [answer async for answer in self.stub.FindDuplicates(self.asked(**fields))]

    async def clusters(self, **fields: object) -> Clusters:
        return self.of(await self.answers(**fields))

    def of(self, answers: Iterable[wire.FindDuplicatesResponse]) -> Clusters:
        """The numbers of the clusters' images, as they are listed."""
        found = (answer.cluster for answer in answers if answer.HasField("cluster"))
        return [[self.numbers[one.image.sha256] for one in cluster.images] for cluster in found]

    def of_walk(self, found: Iterable[Progress]) -> Clusters:
        """The same of what did not come over the wire."""
        clusters = (progress.cluster for progress in found if progress.cluster)
        return [[self.numbers[member.image.sha256] for member in cluster.members] for cluster in clusters]

    async def stored(self, database: Database) -> list[Image]:
        """The images, in order."""
        async with registry.reading(database, self.project) as (connection, project):
            ids, _ = await Scope().seeds(connection, project.id, 0, 10_000)
            return await reading.of_ids(connection, project, ids)

    async def build_index(self, database: Database) -> None:
        project = await registry.get(database, self.project)
        async with database.own_connection() as connection:
            await index.build(connection, project.id, project.serving.id)
            await connection.execute(statement("space_indexed"), project.serving.id, 100, 200, 0.99, 1)


async def failure(call: "grpc.aio.UnaryStreamCall[object, object]") -> LookalikeError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass
    return errors.from_rpc(caught.value, "searcher")


def unlike(count: int) -> np.ndarray:
    """Vectors at right angles to one another."""
    return np.eye(count, 512, dtype=np.float32)


def turned(origin: np.ndarray, axis: int, cosine: float) -> np.ndarray:
    """A vector at this cosine to the origin, turned towards an axis at a right angle to it."""
    return np.asarray(cosine * origin + np.sqrt(1 - cosine**2) * np.eye(512)[axis], np.float32)


def arc(origin: int, towards: int, *degrees: float) -> np.ndarray:
    """Vectors on a circle from one axis towards another."""
    angles = np.radians(degrees)[:, np.newaxis]
    axes = np.eye(512, dtype=np.float32)
    return np.asarray(np.cos(angles) * axes[origin] + np.sin(angles) * axes[towards], np.float32)


def crowd(seed: int, count: int, *, themes: int, least: float = 0.0, most: float = 0.5) -> np.ndarray:
    """Vectors around some themes, as far aside from them as is said; by default many are near one another."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(themes, 512))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    aside = rng.normal(size=(count, 512)) / 512**0.5
    made = centres[rng.integers(themes, size=count)] + aside * rng.uniform(least, most, size=(count, 1))
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


def cosines_of(vectors: np.ndarray) -> np.ndarray:
    """Of all pairs, as they are stored."""
    halves = vectors.astype(np.float16).astype(np.float64)
    halves /= np.linalg.norm(halves, axis=1, keepdims=True)
    return np.asarray(halves @ halves.T)


def by_rule(vectors: np.ndarray, least: float) -> Clusters:
    """What the proto says, computed from all pairs: what near pairs connect. The images come as they are listed."""
    cosines = cosines_of(vectors)
    assert not (abs(cosines - least + TOLERANCE) < 1e-6).any(), "a pair is too near the threshold to be told"
    np.fill_diagonal(cosines, -1)
    near = cosines >= least - TOLERANCE
    roots = np.arange(len(vectors))
    while True:
        lowest = np.where(near, roots, len(vectors)).min(axis=1)
        if (lowest >= roots).all():
            break
        roots = np.minimum(roots, lowest)
    members: dict[int, list[int]] = {}
    for image, root in enumerate(roots.tolist()):
        members.setdefault(root, []).append(image)
    nearest = cosines.max(axis=1)
    return [sorted(of, key=lambda i: (i != root, -nearest[i])) for root, of in members.items() if len(of) > 1]


def sorted_members(clusters: Clusters) -> Clusters:
    """Of similarities that differ by rounding alone the order is open."""
    return [[cluster[0], *sorted(cluster[1:])] for cluster in clusters]


async def test_near_duplicates_come_as_clusters_by_their_first_image(shop: Shop) -> None:
    base = unlike(6)
    copies = [turned(base[4], 100, 0.96), turned(base[1], 101, 0.97), turned(base[1], 102, 0.99)]
    await shop.put(np.vstack([base, copies]))
    answers = await shop.answers()
    assert shop.of(answers) == [[1, 8, 7], [4, 6]]
    first = answers[0].cluster
    assert first.image_count == 3
    assert [round(one.similarity, 3) for one in first.images] == [0.99, 0.99, 0.97]
    assert [shop.numbers[one.nearest_sha256] for one in first.images] == [8, 1, 1]
    assert {(one.match, one.match_basis) for one in first.images} == {
        (wire.MATCH_NEAR_DUPLICATE, wire.MATCH_BASIS_COSINE)
    }
    assert [one.image.references[0].uri for one in first.images] == ["1.jpg", "8.jpg", "7.jpg"]
    assert all(one.image.reference_count == 1 and one.image.HasField("create_time") for one in first.images)
    assert [(answer.examined_count, answer.image_count) for answer in answers] == [(9, 9)] * 3
    assert answers[0].pairs == wire.PairCounts(near_count=4, cosine_count=3)
    assert not answers[-1].HasField("cluster")


async def test_what_near_pairs_connect_is_one_cluster(shop: Shop) -> None:
    """Each link is a near duplicate of the one before alone; one between two connects them."""
    chain = arc(0, 1, 0, 15, 30, 45, 60)  # the cosine of 15 degrees is .966, of 30 .866
    between = arc(10, 11, 0, 30, 15)  # the third is near both others, which are not near one another
    await shop.put(np.vstack([chain, between]))
    assert sorted_members(await shop.clusters()) == [[0, 1, 2, 3, 4], [5, 6, 7]]


async def test_the_order_in_which_images_came_changes_nothing(shop: Shop, stub: SearcherServiceStub) -> None:
    """The same clusters, the same nearest fellows, the same similarities."""
    vectors = np.vstack([crowd(21, 200, themes=60), arc(0, 1, *range(0, 360, 11)), np.repeat(unlike(2), 3, axis=0)])
    found = []
    for seed in range(3):
        name = f"permuted-{uuid.uuid4().hex[:12]}"
        await stub.CreateProject(wire.CreateProjectRequest(name=name, space=SPACE))
        permuted = Shop(stub, name)
        order = np.random.default_rng(seed).permutation(len(vectors)).tolist()
        await permuted.put(vectors[order], names=order)
        clusters = [answer.cluster for answer in await permuted.answers(min_similarity=0.93) if answer.cluster.images]
        found.append({frozenset(_fellows(cluster)) for cluster in clusters})
        await stub.DeleteProject(wire.DeleteProjectRequest(name=name))
    assert len(found[0]) > 20
    assert found[0] == found[1] == found[2]


def _fellows(cluster: wire.DuplicateCluster) -> set[tuple[bytes, bytes, float]]:
    return {(one.image.sha256, one.nearest_sha256, round(one.similarity, 5)) for one in cluster.images}


async def test_a_chain_whose_links_come_in_any_order_is_one_cluster(shop: Shop) -> None:
    vectors = arc(0, 1, *np.random.default_rng(4).permutation(np.arange(0, 360, 11)))
    await shop.put(vectors)
    assert sorted_members(await shop.clusters()) == sorted_members(by_rule(vectors, 0.95)) == [list(range(33))]


@pytest.mark.parametrize("least", [None, 0.8, 0.97])
async def test_clusters_are_those_of_the_rule_at_every_threshold(shop: Shop, least: float | None) -> None:
    vectors = crowd(1, 600, themes=150)
    await shop.put(vectors)
    expected = by_rule(vectors, least or 0.95)
    found = await shop.clusters(min_similarity=least)
    assert len(expected) > 40
    assert sorted_members(found) == sorted_members(expected)
    members = [image for cluster in found for image in cluster]
    assert len(members) == len(set(members))


async def test_alike_vectors_are_duplicates_at_a_threshold_of_one(shop: Shop) -> None:
    """Rounding to half precision does not part them."""
    [one] = crowd(7, 1, themes=1)
    await shop.put(np.vstack([one, one * (1 + 4e-4), turned(unlike(1)[0], 1, 0.9999), unlike(1)[0]]))
    assert await shop.clusters(min_similarity=1) == [[0, 1]]
    assert await shop.clusters(min_similarity=0.9998) == [[0, 1], [2, 3]]


async def test_a_file_that_is_used_in_several_places_is_a_cluster(shop: Shop) -> None:
    """Different places: several products may show the file at the same one."""
    await shop.put(unlike(4))
    await shop.use(1, ELSEWHERE)
    await shop.use(2, wire.Reference(uri="2.jpg", product="another"))
    for only in (False, True):
        answers = await shop.answers(same_file_only=only)
        assert shop.of(answers) == [[1]]
        [one] = answers[0].cluster.images
        assert answers[0].cluster.image_count == one.similarity == 1
        assert [reference.uri for reference in one.image.references] == ["1.jpg", "elsewhere.jpg"]


async def test_a_file_that_is_used_in_several_places_is_in_the_cluster_of_its_near_duplicates(shop: Shop) -> None:
    base = unlike(2)
    await shop.put(np.vstack([base, turned(base[0], 100, 0.97)]))
    await shop.use(2, ELSEWHERE)
    assert await shop.clusters() == [[0, 2]]
    assert await shop.clusters(same_file_only=True) == [[2]]


async def test_a_project_without_duplicates_has_a_sign_of_progress_at_the_end(shop: Shop) -> None:
    for images in (0, 5):
        await shop.put(unlike(images))
        for only in (False, True):
            [sign] = await shop.answers(same_file_only=only)
            assert not sign.HasField("cluster")
            assert (sign.examined_count, sign.image_count) == (images, images)


WAYS: dict[str, Callable[[Database], Duplicates]] = {
    "exact": lambda database: Duplicates(database, THREADS, sign_seconds=0),
    "index": lambda database: Duplicates(database, THREADS, sign_seconds=0, exact_up_to=0),
}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that IMAGES are several blocks, pages and tiles."""
    for module, name, value in (
        (duplicates, "_MIN_BLOCK", 1),
        (duplicates, "_COMPARISONS", 40 * IMAGES),
        (files, "_AT_ONCE", 50),
        (duplicates, "_READ", 7),
        (survey, "_DECIDED", 5),
        (exact, "AT_ONCE", 70),
        (exact, "_PAGE", 60),
        (sketch, "TILE", 16),
        (approximate, "AT_ONCE", 40),
        (approximate, "_DEPTHS", {3: 40, 8: 40}),
    ):
        monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize("way", [Scan, Lookup])
@pytest.mark.usefixtures("small_blocks")
async def test_both_ways_say_who_is_near(shop: Shop, database: Database, way: type[Scan] | type[Lookup]) -> None:
    """Of many that are asked about, some are not there, and some have neighbours on many pages."""
    vectors = crowd(11, IMAGES, themes=12)
    await shop.put(vectors)
    await shop.build_index(database)
    project = await registry.get(database, shop.project)
    ids = {row.id: shop.numbers[row.sha256] for row in await shop.stored(database)}
    near = cosines_of(vectors) >= 0.9 - TOLERANCE
    asked = [image for image, number in ids.items() if number % 2 == 0]
    neighbours = way(SpaceReader(database, project.name, project.id, SPACE, project.serving.id), 0.9, 512)
    for later_only in (True, False):
        found = set[tuple[int, int]]()
        async with aclosing(neighbours.pairs([*asked, 10**9], later_only=later_only)) as parts:
            async for part in parts:
                pairs = [(ids[one], ids[other]) for one, other in zip(part.ones, part.others, strict=True)]
                found |= {(min(pair), max(pair)) for pair in pairs}
                expected = [cosines_of(vectors)[pair] for pair in pairs]
                np.testing.assert_allclose(part.cosines, expected, atol=1e-3)
        expected_pairs = {
            (one, other)
            for one, other in itertools.combinations(range(IMAGES), 2)
            if near[one, other] and (one % 2 == 0 or (other % 2 == 0 and not later_only))
        }
        assert found == expected_pairs or (later_only and way is Lookup and found > expected_pairs)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("small_blocks")
async def test_both_ways_find_the_same_and_a_walk_goes_on_after_each_answer(
    shop: Shop, database: Database, way: str
) -> None:
    """After a cluster or a sign, exactly the rest comes: no cluster twice, none left out, the same members."""
    vectors = crowd(3, IMAGES, themes=40)
    await shop.put(vectors)
    if way == "index":
        await shop.build_index(database)
    finder = WAYS[way](database)
    found = await drained(finder.find(DuplicateQuery(shop.project, 0.95)))
    expected = by_rule(vectors, 0.95)
    assert len(expected) > 10
    assert sorted_members(shop.of_walk(found)) == sorted_members(expected)
    signs = [progress.place.examined for progress in found if not progress.cluster]
    assert len(set(signs)) >= 4
    assert signs[-1] == IMAGES
    for number, progress in list(enumerate(found))[:: 1 if LONG else 40]:
        for searcher in (finder, WAYS[way](database)):  # that it began with, and one that knows nothing of it
            rest = await drained(searcher.find(DuplicateQuery(shop.project, 0.95, after=progress.place)))
            assert sorted_members(shop.of_walk(rest)) == sorted_members(shop.of_walk(found[number + 1 :]))
            assert rest[-1].place.examined == IMAGES


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("small_blocks")
async def test_what_is_featureless_is_in_no_cluster_but_that_of_its_own_bytes(
    shop: Shop, database: Database, way: str
) -> None:
    """It leads nobody, follows nobody, and hides nobody: photos that are as near to one another are found behind it."""
    blank = set(range(30))
    nearly_alike = arc(0, 1, *np.linspace(0, 1, 34))
    await shop.put(np.vstack([nearly_alike, unlike(12)[2:]]), featureless=blank)
    await shop.use(7, ELSEWHERE)
    if way == "index":
        await shop.build_index(database)
    found = await drained(WAYS[way](database).find(DuplicateQuery(shop.project, 0.95)))
    assert sorted_members(shop.of_walk(found)) == [[7], [30, 31, 32, 33]]


async def test_what_has_very_many_neighbours_is_found_through_the_index_too(
    shop: Shop, database: Database, small_blocks: None
) -> None:
    """More of them than the index is asked for: they are compared instead, and the group is not cut."""
    vectors = np.vstack([crowd(9, 100, themes=1), crowd(10, 60, themes=1)])
    await shop.put(vectors)
    await shop.build_index(database)
    found = await drained(WAYS["index"](database).find(DuplicateQuery(shop.project, 0.8)))
    expected = by_rule(vectors, 0.8)
    assert max(map(len, expected)) > 50
    assert sorted_members(shop.of_walk(found)) == sorted_members(expected)


async def test_the_index_is_asked_only_from_so_many_images_on(
    shop: Shop, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.put(unlike(10))
    await shop.build_index(database)
    asked: list[object] = []
    monkeypatch.setattr(Lookup, "pairs", asked_instead(asked))
    for exact_up_to in (10, 9):
        await drained(Duplicates(database, THREADS, exact_up_to=exact_up_to).find(DuplicateQuery(shop.project)))
        assert len(asked) == 10 - exact_up_to


def asked_instead(asked: list[object]) -> Callable[..., AsyncIterator[Pairs]]:
    async def pairs(_: object, ids: object, *, later_only: bool) -> AsyncIterator[Pairs]:
        asked.append(ids)
        yield Pairs.of([])

    return pairs


async def test_a_cluster_lists_a_thousand_images_most_similar_first_and_counts_all(shop: Shop) -> None:
    aside = np.random.default_rng(5).uniform(0.955, 0.999, size=1_100)
    [origin] = unlike(1)
    await shop.put(np.vstack([origin, *(turned(origin, 1 + axis % 500, cosine) for axis, cosine in enumerate(aside))]))
    answers = await shop.answers()
    [cluster] = [answer.cluster for answer in answers if answer.HasField("cluster")]
    similarities = [one.similarity for one in cluster.images]
    assert cluster.image_count == 1_101
    assert len(similarities) == 1_000
    assert shop.of(answers)[0][0] == 0
    assert similarities[1:] == sorted(similarities[1:], reverse=True)


async def test_a_large_cluster_lists_fewer_references_and_still_counts_all(shop: Shop) -> None:
    long = {str(number): "x" * 256 for number in range(64)}
    await shop.put(np.tile(unlike(1), (6, 1)))
    for number in range(6):
        references = [wire.Reference(uri=f"{number}.jpg", product=f"p{n}", labels=long) for n in range(99)]
        await shop.use(number, *references)
    [answer, _] = await shop.answers()
    assert 7 * 1024 * 1024 < answer.ByteSize() < 9 * 1024 * 1024
    images = [one.image for one in answer.cluster.images]
    assert [image.reference_count for image in images] == [100] * 6
    assert len(images[0].references) == 100
    assert len(images[-1].references) == 1


async def test_a_search_over_the_wire_goes_on_where_a_token_says(shop: Shop) -> None:
    await shop.put(crowd(3, 60, themes=20))
    answers = await shop.answers()
    assert len(answers) > 5
    for number, answer in enumerate(answers):
        rest = await shop.answers(resume_token=answer.resume_token)
        assert shop.of(rest) == shop.of(answers[number + 1 :])
        assert [one.examined_count for one in rest][-1] == 60


async def test_a_token_of_another_search_or_of_nobody_is_refused(shop: Shop, stub: SearcherServiceStub) -> None:
    await shop.put(unlike(2))
    [sign] = await shop.answers()
    for fields in (
        {"resume_token": sign.resume_token, "min_similarity": 0.9},
        {"resume_token": sign.resume_token, "same_file_only": True},
        {"resume_token": sign.resume_token[:-4]},
        {"resume_token": "AAAA"},
        {"resume_token": "x" * 5000},
    ):
        error = await failure(stub.FindDuplicates(shop.asked(**fields)))
        assert isinstance(error, InvalidRequestError)
        assert list(error.violations) == ["resume_token"]
    another = Shop(stub, f"another-{uuid.uuid4().hex[:12]}")
    await stub.CreateProject(wire.CreateProjectRequest(name=another.project, space=SPACE))
    error = await failure(stub.FindDuplicates(another.asked(resume_token=sign.resume_token)))
    assert error.reason == "INVALID_FIELD"
    await stub.DeleteProject(wire.DeleteProjectRequest(name=another.project))


async def test_a_token_of_a_project_that_was_deleted_is_refused_by_its_namesake(
    shop: Shop, stub: SearcherServiceStub
) -> None:
    [sign] = await shop.answers()
    await stub.DeleteProject(wire.DeleteProjectRequest(name=shop.project))
    await stub.CreateProject(wire.CreateProjectRequest(name=shop.project, space=SPACE))
    error = await failure(stub.FindDuplicates(shop.asked(resume_token=sign.resume_token)))
    assert isinstance(error, InvalidRequestError)
    assert list(error.violations) == ["resume_token"]


async def test_bad_requests_name_field_limit_and_value(shop: Shop, stub: SearcherServiceStub) -> None:
    for least in (0.49, 1.01, -1.0, float("nan")):
        error = await failure(stub.FindDuplicates(shop.asked(min_similarity=least)))
        assert isinstance(error, InvalidRequestError)
        assert error.violations["min_similarity"].startswith("min_similarity: must be 0.5 to 1, got ")
    error = await failure(stub.FindDuplicates(wire.FindDuplicatesRequest(project="Shop!")))
    assert isinstance(error, InvalidRequestError)
    assert list(error.violations) == ["project"]
    error = await failure(stub.FindDuplicates(wire.FindDuplicatesRequest(project="nowhere")))
    assert error.reason == "PROJECT_NOT_FOUND"


@pytest.mark.parametrize("way", WAYS)
async def test_images_that_are_deleted_meanwhile_do_not_break_the_stream(
    shop: Shop, database: Database, way: str, small_blocks: None
) -> None:
    """Those of later clusters are missing from them; a cluster that is left with one image is gone."""
    await shop.put(np.repeat(crowd(6, IMAGES // 4, themes=1, least=0.8, most=1.0), 4, axis=0))
    if way == "index":
        await shop.build_index(database)
    async with aclosing(WAYS[way](database).find(DuplicateQuery(shop.project))) as found:
        first = await anext(found)
        await shop.delete(144, 149, 152, 153, 154)
        rest = await drained(found)
    clusters = shop.of_walk([first, *rest])
    assert sorted_members(clusters[:36]) == [[n, n + 1, n + 2, n + 3] for n in range(0, 144, 4)]
    assert sorted_members(clusters[36:]) == [[145, 146, 147], [148, 150, 151], [156, 157, 158, 159]]


@pytest.mark.parametrize(
    ("deleted", "left"), [((0,), [[2, 3]]), ((1,), [[2, 3]]), ((5,), [[0, 1], [2, 3]]), ((2, 1), [])]
)
async def test_a_cluster_is_given_as_it_is_left_when_it_is_read(
    shop: Shop, database: Database, monkeypatch: pytest.MonkeyPatch, deleted: Sequence[int], left: Clusters
) -> None:
    """Images are deleted between the comparison and the reading."""
    await shop.put(np.vstack([np.repeat(unlike(2), 2, axis=0), unlike(4)[2:]]))
    await shop.use(5, ELSEWHERE)
    read = ClusterReader.read

    async def late(*arguments: Any) -> object:  # noqa: ANN401 - those of the method
        await shop.delete(*deleted)
        return await read(*arguments)

    monkeypatch.setattr(ClusterReader, "read", late)
    found = await drained(Duplicates(database, THREADS).find(DuplicateQuery(shop.project)))
    expected = left if 5 in deleted else [*left, [5]]
    assert shop.of_walk(found) == expected
    assert found[-1].place.examined == 6


@pytest.mark.parametrize("again", [False, True])
async def test_a_project_that_is_deleted_meanwhile_is_not_found_even_if_another_has_its_name(
    stub: SearcherServiceStub, database: Database, small_blocks: None, again: bool
) -> None:
    shop = Shop(stub, f"doomed-{uuid.uuid4().hex[:12]}")
    await stub.CreateProject(wire.CreateProjectRequest(name=shop.project, space=SPACE))
    await shop.put(np.repeat(unlike(IMAGES // 2), 2, axis=0))
    async with aclosing(WAYS["exact"](database).find(DuplicateQuery(shop.project))) as found:
        await anext(found)
        await stub.DeleteProject(wire.DeleteProjectRequest(name=shop.project))
        if again:
            await stub.CreateProject(wire.CreateProjectRequest(name=shop.project, space=SPACE))
        with pytest.raises(NotFound) as caught:
            await drained(found)
    assert caught.value.reason == "PROJECT_NOT_FOUND"
    if again:
        await stub.DeleteProject(wire.DeleteProjectRequest(name=shop.project))


async def test_a_walk_stays_in_the_space_where_it_began(shop: Shop, stub: SearcherServiceStub) -> None:
    """Also when another space serves by now; when its own has been deleted, it is not found."""
    base = unlike(4)
    await shop.put(np.vstack([base[0], base[0], base[1], base[1]]))
    answers = await shop.answers()
    await stub.CreateSpace(wire.CreateSpaceRequest(project=shop.project, space="new"))
    await stub.CutOverSpace(wire.CutOverSpaceRequest(project=shop.project, space="new", allow_incomplete=True))
    assert shop.of(await shop.answers(resume_token=answers[0].resume_token)) == [[2, 3]]
    assert await shop.clusters() == []
    await stub.DeleteSpace(wire.DeleteSpaceRequest(project=shop.project, space=SPACE))
    error = await failure(stub.FindDuplicates(shop.asked(resume_token=answers[0].resume_token)))
    assert error.reason == "SPACE_NOT_FOUND"


async def test_images_without_a_vector_are_clusters_only_by_themselves(shop: Shop, stub: SearcherServiceStub) -> None:
    await shop.put(np.repeat(unlike(1), 3, axis=0))
    await shop.use(1, ELSEWHERE)
    await stub.CreateSpace(wire.CreateSpaceRequest(project=shop.project, space="new"))
    await stub.CutOverSpace(wire.CutOverSpaceRequest(project=shop.project, space="new", allow_incomplete=True))
    assert await shop.clusters() == [[1]]
    await shop.put(np.repeat(unlike(1), 2, axis=0), space="new")
    assert await shop.clusters() == [[1], [3, 4]]


class Gate:
    """Holds one comparison up, in its thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: int = 0) -> None:
        self.reached, self.thresholds = asyncio.Event(), list[float]()
        self._free, self._open, self._loop = free, threading.Event(), asyncio.get_running_loop()
        self._compare = sketch.near_pairs
        monkeypatch.setattr(sketch, "near_pairs", self._held)

    def open(self) -> None:
        self._open.set()

    def _held(self, seekers: sketch.Vectors, candidates: sketch.Vectors, least: float, *, later_only: bool) -> Pairs:
        self.thresholds.append(least)
        if len(self.thresholds) == self._free + 1:
            self._loop.call_soon_threadsafe(self.reached.set)
            self._open.wait()
        return self._compare(seekers, candidates, least, later_only=later_only)


async def test_a_client_that_cancels_stops_the_work(
    shop: Shop, stub: SearcherServiceStub, monkeypatch: pytest.MonkeyPatch, small_blocks: None
) -> None:
    """What is being compared is finished, and nothing more; the next search has its turn."""
    await shop.put(np.repeat(unlike(IMAGES // 2), 2, axis=0))
    gate = Gate(monkeypatch)
    call = stub.FindDuplicates(shop.asked(min_similarity=0.9))
    reading = asyncio.create_task(call.read())
    await gate.reached.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await stub.GetProject(wire.GetProjectRequest(name=shop.project))  # comes after the cancellation, on its connection
    others = asyncio.create_task(shop.clusters(min_similarity=0.8))
    gate.open()
    assert len(await others) == IMAGES // 2
    assert sum(least > 0.85 for least in gate.thresholds) == 1


async def test_a_search_that_is_left_lets_go_of_everything(
    shop: Shop, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while it is being compared."""
    await shop.put(unlike(4))
    finder, gate = Duplicates(database, THREADS), Gate(monkeypatch)
    task = asyncio.create_task(anext(finder.find(DuplicateQuery(shop.project))))
    await gate.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open()
    assert [progress.place.examined async for progress in finder.find(DuplicateQuery(shop.project))] == [4]


async def test_searches_take_turns_and_do_not_wait_for_one_that_compares_nothing(
    shop: Shop, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.put(unlike(4))
    finder, another = Duplicates(database, THREADS), Duplicates(database, THREADS)
    gate = Gate(monkeypatch)
    first = asyncio.create_task(drained(finder.find(DuplicateQuery(shop.project))))
    await gate.reached.wait()
    second = asyncio.create_task(drained(finder.find(DuplicateQuery(shop.project))))
    for _ in range(3):  # long enough for the second, did it not wait
        assert len(await drained(another.find(DuplicateQuery(shop.project)))) == 1
    assert len(await drained(finder.find(DuplicateQuery(shop.project, same_file_only=True)))) == 1
    assert not second.done()
    assert len(gate.thresholds) == 4
    gate.open()
    assert [len(walk) for walk in await asyncio.gather(first, second)] == [1, 1]


async def drained(progress: AsyncIterator[Progress]) -> list[Progress]:
    return [one async for one in progress]


async def test_a_draining_searcher_ends_the_stream_after_an_answer(
    shop: Shop, database: Database, monkeypatch: pytest.MonkeyPatch, small_blocks: None
) -> None:
    """With a status that says: go on elsewhere, and a token to do it with."""
    await shop.put(np.repeat(unlike(IMAGES // 2), 2, axis=0))
    expected = await shop.clusters()
    config = Config(data_dir=Path("unused"), port=0, grace=10)
    async with (
        searcher_server.serving(config, database) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        gate = Gate(monkeypatch, free=4)
        call = SearcherServiceStub(channel).FindDuplicates(shop.asked())
        received: list[Any] = []
        await gate.reached.wait()
        drain = asyncio.create_task(server.__aexit__(None, None, None))
        asyncio.get_running_loop().call_soon(gate.open)  # once the drain has begun
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            while True:
                received.append(await call.read())
        assert errors.from_rpc(caught.value, "searcher").reason == "SHUTTING_DOWN"
        await drain
    rest = await shop.answers(resume_token=received[-1].resume_token)
    assert shop.of([*received, *rest]) == expected
    assert len(received) < len(expected)
