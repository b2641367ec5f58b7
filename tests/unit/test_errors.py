"""From a server's domain error, over the wire, to the exception that a user catches."""

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

import lookalike
from lookalike import errors
from lookalike._transport import retry
from lookalike_embedder.errors import STATUS as EMBEDDER
from lookalike_embedder.errors import InvalidImage, ModelFailure, Overloaded
from lookalike_searcher.errors import STATUS as SEARCHER
from lookalike_searcher.errors import (
    AlreadyExists,
    DatabaseError,
    DatabaseTimeout,
    DatabaseUnavailable,
    FailedPrecondition,
    InvalidField,
    NotFound,
    QuotaExceeded,
)
from lookalike_serving.errors import DomainError, InternalError, ShuttingDown, StatusTable


def over_the_wire(table: StatusTable, error: DomainError, *details: Message) -> lookalike.LookalikeError:
    status = rpc_status.to_status(table.status(error, *details))
    raised = grpc.aio.AioRpcError(
        status.code, grpc.aio.Metadata(), grpc.aio.Metadata(*status.trailing_metadata), status.details
    )
    return errors.from_rpc(raised, "the server")


@pytest.mark.parametrize(
    ("table", "error", "kind"),
    [
        (EMBEDDER, InvalidImage("EMPTY_IMAGE", "image: must not be empty"), lookalike.InvalidRequestError),
        (EMBEDDER, Overloaded(7, 2.5), lookalike.OverloadedError),
        (EMBEDDER, ModelFailure(), lookalike.ServerError),
        (EMBEDDER, ShuttingDown(), lookalike.UnavailableError),
        (EMBEDDER, InternalError(), lookalike.ServerError),
        (SEARCHER, InvalidField("limit", "must be 1 to 1000", 0), lookalike.InvalidRequestError),
        (SEARCHER, NotFound.project("shop"), lookalike.NotFoundError),
        (SEARCHER, NotFound.image("shop", bytes(32)), lookalike.NotFoundError),
        (SEARCHER, AlreadyExists.project("shop"), lookalike.AlreadyExistsError),
        (SEARCHER, FailedPrecondition.wrong_space("shop", "a", "b"), lookalike.PreconditionError),
        (SEARCHER, FailedPrecondition.embedding_needed("shop", "a", [bytes(32)]), lookalike.PreconditionError),
        (SEARCHER, QuotaExceeded.images("shop", 7), lookalike.QuotaExceededError),
        (SEARCHER, QuotaExceeded.hits("shop", 7, 8), lookalike.QuotaExceededError),
        (SEARCHER, QuotaExceeded.batch("shop", 7, 8), lookalike.QuotaExceededError),
        (SEARCHER, QuotaExceeded.searches("shop", 7, 0.5), lookalike.QuotaExceededError),
        (SEARCHER, QuotaExceeded.busy("shop", 7, 0.5, 0.5), lookalike.QuotaExceededError),
        (SEARCHER, QuotaExceeded.feedback("shop", 7), lookalike.QuotaExceededError),
        (SEARCHER, QuotaExceeded.verdicts("shop", 7), lookalike.QuotaExceededError),
        (SEARCHER, DatabaseTimeout(), lookalike.DeadlineExceededError),
        (SEARCHER, DatabaseUnavailable(), lookalike.UnavailableError),
        (SEARCHER, DatabaseError(), lookalike.ServerError),
    ],
)
def test_every_domain_error_arrives_with_reason_message_and_metadata(
    table: StatusTable, error: DomainError, kind: type[lookalike.LookalikeError]
) -> None:
    whole = over_the_wire(table, error)
    item = errors.from_item(table.item_error(error))
    for arrived in (whole, item):
        assert type(arrived) is kind
        assert str(arrived) == error.message
        assert arrived.reason == error.reason
        assert arrived.metadata == error.metadata


def test_details_arrive() -> None:
    invalid = over_the_wire(SEARCHER, InvalidField("limit", "must be 1 to 1000", 0))
    assert isinstance(invalid, lookalike.InvalidRequestError)
    assert invalid.violations == {"limit": "limit: must be 1 to 1000, got 0"}
    overloaded = over_the_wire(EMBEDDER, Overloaded(7, 2.5))
    assert isinstance(overloaded, lookalike.OverloadedError)
    assert overloaded.retry_after == pytest.approx(2.5)


def test_a_quota_says_whether_waiting_helps() -> None:
    quota = QuotaExceeded.searches("shop", 7, 0.5)
    for rate in (over_the_wire(SEARCHER, quota), errors.from_item(SEARCHER.item_error(quota))):
        assert isinstance(rate, lookalike.OverloadedError)
        assert rate.retry_after == pytest.approx(0.5)
        assert retry.is_transient(rate)
    rare = over_the_wire(SEARCHER, QuotaExceeded.searches("shop", 1e-12, 1e12))  # more than the wire has room for
    assert isinstance(rare, lookalike.OverloadedError)
    assert rare.retry_after == 24 * 3600
    images = over_the_wire(SEARCHER, QuotaExceeded.images("shop", 7))
    assert isinstance(images, lookalike.OverloadedError)
    assert images.retry_after is None
    assert not retry.is_transient(images)


def test_an_error_without_details_names_the_server() -> None:
    raised = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "no route")
    error = errors.from_rpc(raised, "the embedder at pod:50051")
    assert isinstance(error, lookalike.UnavailableError)
    assert str(error) == "the embedder at pod:50051: no route"


def test_a_status_that_a_proxy_rewrote_counts_as_the_proxy_says() -> None:
    details = rpc_status.to_status(SEARCHER.status(DatabaseError())).trailing_metadata
    raised = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(*details), "upstream reset"
    )
    assert isinstance(errors.from_rpc(raised, "it"), lookalike.UnavailableError)


def test_the_servers_request_id_arrives() -> None:
    raised = over_the_wire(SEARCHER, NotFound.project("shop"), error_details_pb2.RequestInfo(request_id="order 7"))
    assert raised.request_id == "order 7"
    assert over_the_wire(SEARCHER, NotFound.project("shop")).request_id == ""
