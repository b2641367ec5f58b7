"""What the generator asks: each kind of call with its rate. Each does one thing and raises what goes wrong."""

import hashlib
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
import httpx
import numpy as np

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import embedder_pb2, searcher_pb2
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceStub
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from tests.bench.dataset import ORDERS, sha256_of, uri_of
from tests.bench.soak.plan import PROJECT, Plan

DEADLINE_SECONDS: Final = 20.0
_CODES: Final = {code.value[0]: code.name for code in grpc.StatusCode}
_BATCH: Final = 5
_PRODUCT_IMAGES: Final = 4
_PRODUCTS_KEPT: Final = 5
_RERANKED: Final = 50
_LIMIT: Final = 10
_CHANNEL: Final = (  # calls are not retried, so that each failure is seen; connections are, soon
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_retries", 0),
)


@dataclass(frozen=True)
class Kind:
    """A kind of call.

    Attributes:
        name: in the table.
        rate: calls a second, at random moments.
        call: makes one.
    """

    name: str
    rate: float
    call: Callable[[], object]


class Wrong(Exception):
    """An answer that is an error, or cannot be right. The message begins with what is wrong, in capitals."""


class Caller:
    """Makes all kinds of calls to one site."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._dice = random.Random(0)  # noqa: S311 - no secret
        self._queries = np.load(plan.queries)
        self._photos = plan.photo_files()
        self._searcher: Any = SearcherServiceStub(grpc.insecure_channel(plan.searcher, _CHANNEL))
        self._embedder: Any = EmbedderServiceStub(grpc.insecure_channel(plan.embedder, _CHANNEL))
        kind = {"content-type": "application/octet-stream"}
        self._http = httpx.Client(base_url=plan.gateway, headers=kind, timeout=DEADLINE_SECONDS)
        self._numbers = itertools.count()
        self._synced: deque[str] = deque()
        self._search_ids: deque[str] = deque(maxlen=100)

    def kinds(self) -> Iterator[Kind]:
        """All that is asked, at rates that two cores carry beside bulk work; often enough to see it recover."""
        yield Kind("HTTP photo", 0.5, self._http_photo)
        yield Kind("HTTP by uri", 1, lambda: self._http_get("image-search", uri=self._uri(), limit=_LIMIT))
        yield Kind("HTTP images", 1, lambda: self._http_get("images"))
        yield Kind("Embed", 0.5, self._embed)
        yield Kind("Search vector", 4, self._search_by_vector)
        yield Kind("Search sha256", 1, lambda: self._search(sha256=self._sha256()))
        yield Kind("Search uri", 1, lambda: self._search(uri=self._uri()))
        yield Kind("Search filter", 1, lambda: self._search(embedding=self._vector(), filter=self._filter()))
        yield Kind("Search grouped", 1, lambda: self._search(sha256=self._sha256(), group_by="GROUPING_PRODUCT"))
        yield Kind("Search rerank", 1, lambda: self._search(embedding=self._vector(), rerank=_RERANKED))
        yield Kind("SearchBatch", 1, self._batch)
        yield Kind("CheckImages", 1, self._check)
        yield Kind("GetImage", 1, lambda: self._ask("GetImage", uri=self._uri()))
        yield Kind("GetProject", 1, lambda: self._searcher.GetProject(_project(), timeout=DEADLINE_SECONDS))
        yield Kind("ListImages", 1, self._list)
        yield Kind("ListReferences", 1, lambda: self._ask("ListReferences"))
        yield Kind("SyncProduct", 1, self._sync)
        yield Kind("DeleteImages", 1, self._delete)
        yield Kind("RecordFeedback", 1, self._feedback)
        yield Kind("GetSearchQuality", 1, lambda: self._ask("GetSearchQuality"))

    def _ask(self, method: str, **fields: object) -> Any:  # noqa: ANN401 - of whichever method
        request = getattr(searcher_pb2, f"{method}Request")(project=PROJECT, **fields)
        return getattr(self._searcher, method)(request, timeout=DEADLINE_SECONDS)

    def _search(self, **fields: object) -> searcher_pb2.SearchResponse:
        answer: searcher_pb2.SearchResponse = self._ask("Search", limit=_LIMIT, **fields)
        _full(len(answer.hits))
        return answer

    def _search_by_vector(self) -> None:
        self._search_ids.append(self._search(embedding=self._vector()).search_id)

    def _batch(self) -> None:
        one = searcher_pb2.SearchRequest
        requests = [one(project=PROJECT, embedding=self._vector(), limit=_LIMIT) for _ in range(_BATCH)]
        request = searcher_pb2.SearchBatchRequest(requests=requests)
        for result in self._searcher.SearchBatch(request, timeout=DEADLINE_SECONDS).results:
            if result.HasField("error"):
                raise Wrong(f"{_CODES[result.error.code]} {result.error.reason}")
            _full(len(result.response.hits))

    def _check(self) -> None:
        wanted = {self._sha256() for _ in range(100)}
        if set(self._ask("CheckImages", sha256s=wanted).stored_sha256s) != wanted:
            raise Wrong("LOST images that nobody deletes")

    def _list(self) -> None:
        token = self._ask("ListImages", page_size=100).next_page_token
        self._ask("ListImages", page_size=100, page_token=token)

    def _sync(self) -> None:
        product = f"passing-{next(self._numbers)}"
        entries = [self._entry(f"{product}/{number}") for number in range(_PRODUCT_IMAGES)]
        self._ask("SyncProduct", product=product, entries=entries)
        self._synced.append(product)

    def _delete(self) -> None:
        """The oldest product, once there are some; what failed is taken up again."""
        product = self._synced.popleft() if len(self._synced) > _PRODUCTS_KEPT else "none"
        try:
            self._ask("DeleteImages", products=[product])
        except grpc.RpcError:
            self._synced.append(product)
            raise

    def _entry(self, uri: str) -> searcher_pb2.ImageEntry:
        sha256, reference = hashlib.sha256(uri.encode()).digest(), searcher_pb2.Reference(uri=uri)
        return searcher_pb2.ImageEntry(sha256=sha256, embedding=self._vector(), reference=reference)

    def _feedback(self) -> None:
        """On a search that was made, once there is one."""
        if not self._search_ids:
            self._search_by_vector()
        verdict = searcher_pb2.HitVerdict(sha256=self._sha256(), rank=1, verdict=searcher_pb2.VERDICT_CLICKED)
        said = searcher_pb2.SearchFeedback(search_id=self._dice.choice(self._search_ids), verdicts=[verdict])
        self._ask("RecordFeedback", searches=[said])

    def _embed(self) -> None:
        self._embedder.Embed(embedder_pb2.EmbedRequest(image=self._photo()), timeout=DEADLINE_SECONDS)

    def _http_photo(self) -> None:
        found = self._http.post(_path("image-search"), content=self._photo(), params={"limit": _LIMIT})
        _full(len(found.raise_for_status().json()["results"]))

    def _http_get(self, what: str, **params: str | int) -> None:
        self._http.get(_path(what), params=params).raise_for_status()

    def _photo(self) -> bytes:
        """A photo with some bytes after its end: no decoder minds, and no cache has seen it."""
        return self._dice.choice(self._photos) + self._dice.randbytes(16)

    def _vector(self) -> common.Embedding:
        return common.Embedding(space=self._plan.space, values=self._dice.choice(self._queries).tolist())

    def _row(self) -> int:
        return self._dice.randrange(self._plan.images)

    def _uri(self) -> str:
        return uri_of(self._row())

    def _sha256(self) -> bytes:
        return sha256_of(self._row())

    def _filter(self) -> searcher_pb2.Filter:
        label = searcher_pb2.Label(name=f"{self._dice.choice(ORDERS)}-shelf", value=str(self._dice.randrange(100)))
        return searcher_pb2.Filter(labels=[searcher_pb2.LabelGroup(any_of=[label])])


def _full(hits: int) -> None:
    if hits != _LIMIT:
        raise Wrong(f"TOO_FEW_HITS: {hits} of {_LIMIT}")


def _path(what: str) -> str:
    return f"/v1/projects/{PROJECT}/{what}"


def _project() -> searcher_pb2.GetProjectRequest:
    return searcher_pb2.GetProjectRequest(name=PROJECT)
