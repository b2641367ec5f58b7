"""A project over the wire, in the words of `Catalogue`: the same methods, results and refusals."""

from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from typing import TypeVar

import grpc

from lookalike import errors
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from tests.catalogue import Entry, Filter, Labels, Refused, Shown, point
from tests.indexer import sha256
from tests.ranking import Example, Hit, Query

T = TypeVar("T")

HEIGHT = 7
_IMAGES = {sha256(image): image for image in range(100)}


async def refusable(call: Awaitable[T]) -> T:
    """The call's answer. Raises Refused with its reason."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise Refused(errors.from_rpc(error, "searcher").reason) from error


class RemoteCatalogue:
    """The project `name`, which must exist."""

    def __init__(self, stub: SearcherServiceStub, name: str) -> None:
        self.stub, self.name = stub, name

    async def index(self, entries: Sequence[Entry]) -> list[bool | str]:
        """In one request, so in one transaction: one image as the request itself, several as its entries."""
        request = wire.IndexImagesRequest(sequence=1, project=self.name)
        if len(entries) == 1:
            request.MergeFromString(_message(entries[0], wire.IndexImagesRequest()).SerializeToString())
        else:
            request.entries.extend(_message(entry, wire.ImageEntry()) for entry in entries)

        async def stream() -> AsyncIterator[wire.IndexImagesRequest]:
            yield request

        [answer] = [answer async for answer in self.stub.IndexImages(stream())]
        results = answer.entries.results if len(entries) > 1 else [answer]
        return [one.error.reason or one.indexed.status == wire.INDEX_STATUS_INDEXED for one in results]

    async def sync(self, product: str, entries: Sequence[Entry]) -> tuple[list[bool | str], int, int]:
        """See the proto. The first entry names the product, the others leave it out."""
        messages = [_message(entry, wire.ImageEntry()) for entry in entries]
        for message in messages[1:]:
            message.reference.product = ""
        request = wire.SyncProductRequest(project=self.name, product=product, entries=messages)
        done = await refusable(self.stub.SyncProduct(request))
        changed: list[bool | str] = [status == wire.INDEX_STATUS_INDEXED for status in done.statuses]
        return changed, done.deleted_reference_count, done.deleted_image_count

    async def delete(self, uris: Iterable[str], products: Iterable[str], images: Iterable[int]) -> tuple[int, int]:
        """See the proto."""
        request = wire.DeleteImagesRequest(
            project=self.name, uris=uris, products=products, sha256s=[sha256(image) for image in images]
        )
        done = await refusable(self.stub.DeleteImages(request))
        return done.deleted_reference_count, done.deleted_image_count

    async def create_space(self, name: str) -> None:
        """See the proto."""
        await refusable(self.stub.CreateSpace(wire.CreateSpaceRequest(project=self.name, space=name)))

    async def cut_over(self, name: str, *, allow_incomplete: bool) -> None:
        """See the proto."""
        request = wire.CutOverSpaceRequest(project=self.name, space=name, allow_incomplete=allow_incomplete)
        await refusable(self.stub.CutOverSpace(request))

    async def delete_space(self, name: str) -> None:
        """See the proto."""
        await refusable(self.stub.DeleteSpace(wire.DeleteSpaceRequest(project=self.name, space=name)))

    async def counts(self) -> tuple[str, int, int, dict[str, int]]:
        """The space that serves, how many images and references, and how many vectors of each space."""
        found = (await refusable(self.stub.GetProject(wire.GetProjectRequest(name=self.name)))).project
        vectors = {space.name: space.vector_count for space in found.spaces}
        assert [space.name for space in found.spaces if space.serves] == [found.spaces[0].name] == [found.space]
        return found.space, found.image_count, found.reference_count, vectors

    async def check(self, images: Iterable[int], space: str) -> set[int]:
        """Those of the images that are stored in the space."""
        hashes = [sha256(image) for image in images]
        request = wire.CheckImagesRequest(project=self.name, sha256s=hashes, space=space)
        stored = list((await refusable(self.stub.CheckImages(request))).stored_sha256s)
        assert len(set(stored)) == len(stored)
        return {_IMAGES[one] for one in stored}

    async def get(self, example: Example) -> tuple[int, int, list[Shown]]:
        """The image, its width, its references."""
        request = wire.GetImageRequest(project=self.name, **_named(example))
        image = (await refusable(self.stub.GetImage(request))).image
        return _IMAGES[image.sha256], image.width, _shown(image.references, image.reference_count)

    async def pages(self, chosen: Filter, missing_in: str, page_size: int) -> list[list[tuple[int, list[Shown]]]]:
        """The pages."""
        request = wire.ListImagesRequest(
            project=self.name, filter=_filter(chosen), missing_in_space=missing_in, page_size=page_size
        )
        pages = []
        while True:
            answer = await refusable(self.stub.ListImages(request))
            images = answer.images
            pages.append([(_IMAGES[one.sha256], _shown(one.references, one.reference_count)) for one in images])
            if not answer.next_page_token:
                return pages
            request.page_token = answer.next_page_token

    async def search(self, query: Query, limit: int) -> tuple[list[list[Hit]], list[wire.SearchResponse]]:
        """The pages of hits, and the answers that they came in."""
        request, pages, answers = _search(query, self.name), [], []
        request.limit = limit
        while True:
            answers.append(await refusable(self.stub.Search(request)))
            pages.append([_hit(hit) for hit in answers[-1].hits])
            if not answers[-1].next_page_token:
                return pages, answers
            request.page_token = answers[-1].next_page_token


Message = TypeVar("Message", wire.IndexImagesRequest, wire.ImageEntry)


def _message(entry: Entry, message: Message) -> Message:
    uri, product, variant, staged = entry.key
    message.sha256 = sha256(entry.image)
    message.width, message.height = entry.width, HEIGHT
    reference = wire.Reference(uri=uri, product=product, variant=variant, staged=staged, labels=dict(entry.labels))
    message.reference.CopyFrom(reference)
    embeddings = [common.Embedding(space=space, values=point(entry.image, space)) for space in entry.spaces]
    if embeddings:
        message.embedding.CopyFrom(embeddings[0])
    message.further_embeddings.extend(embeddings[1:])
    return message


def _filter(chosen: Filter) -> wire.Filter:
    return wire.Filter(
        products=chosen.products,
        variants=chosen.variants,
        staged=chosen.staged,
        uri_prefix=chosen.uri_prefix,
        labels=[wire.LabelGroup(any_of=map(_label, group)) for group in chosen.labels],
    )


def _label(label: tuple[str, str]) -> wire.Label:
    return wire.Label(name=label[0], value=label[1])


def _search(query: Query, project: str) -> wire.SearchRequest:
    request = wire.SearchRequest(
        project=project,
        space=query.space,
        filter=_filter(query.chosen),
        min_similarity=query.min_similarity,
        group_by=wire.GROUPING_PRODUCT if query.by_product else wire.GROUPING_UNSPECIFIED,
        exact=True,
    )
    if query.several:
        request.positives.extend(_example(example, query.vector_space) for example in query.positives)
        request.negatives.extend(_example(example, query.vector_space) for example in query.negatives)
    else:
        [(kind, value)] = query.positives
        if kind == "vector":
            request.embedding.CopyFrom(_example((kind, value), query.vector_space).embedding)
        else:
            request.MergeFrom(wire.SearchRequest(**_named((kind, value))))
    return request


def _example(example: Example, space: str) -> wire.Example:
    kind, value = example
    if kind == "vector":
        return wire.Example(embedding=common.Embedding(space=space, values=point(int(value), space)))
    return wire.Example(**_named(example))


def _named(example: Example) -> dict[str, bytes | str]:
    kind, value = example
    return {"uri": str(value)} if kind == "uri" else {"sha256": sha256(int(value))}


def _shown(references: Sequence[wire.Reference], count: int) -> list[Shown]:
    assert len(references) == count
    return [((one.uri, one.product, one.variant, one.staged), _labels(one)) for one in references]


def _labels(reference: wire.Reference) -> Labels:
    return tuple(sorted(reference.labels.items()))


def _hit(hit: wire.Hit) -> Hit:
    references = tuple(_shown(hit.references, hit.reference_count))
    return Hit(_IMAGES[hit.sha256], hit.product, round(hit.similarity, 4), references)
