"""Open channels to the two servers, with limits that fit photos, keepalive, balancing, and retries that do no harm."""

import json
import os
from typing import Final

import grpc

from lookalike.constants import CLIENT_KEEPALIVE, MAX_MESSAGE_BYTES

EMBEDDER: Final = "lookalike.v1.EmbedderService"
SEARCHER: Final = "lookalike.v1.SearcherService"

_IDEMPOTENT: Final = {
    EMBEDDER: ("GetModel", "Embed", "EmbedText"),
    SEARCHER: (
        *("GetProject", "ListProjects", "UpdateProject", "CompareSpaces"),
        *("CheckImages", "CheckReferences", "GetImage", "ListImages", "ListReferences", "SyncProduct", "DeleteImages"),
        *("Search", "SearchBatch", "RecordFeedback", "ListFeedback", "DeleteFeedback", "GetSearchQuality"),
        *("MergeDuplicates", "DismissDuplicates", "ListDismissals", "DeleteDismissals"),
    ),
}
"""Unary RPCs that gRPC may try again by itself. Streams are resumed by `stream`, with what is unanswered."""

_RETRY: Final = {
    "maxAttempts": 4,
    "initialBackoff": "0.2s",
    "maxBackoff": "3s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}
"""A server whose event loop is late resets calls that it has not begun: they come back as CANCELLED."""


def open_channel(address: str, service: str, credentials: grpc.ChannelCredentials | None = None) -> grpc.aio.Channel:
    """Return a channel to all addresses that `address` resolves to, in turn.

    Args:
        address: a gRPC target, for example `localhost:50051` or `dns:///embedder.shop.svc:50051`.
        service: the full name of the service there.
        credentials: how connections are encrypted; None: they are not.
    """
    names = [{"service": service, "method": method} for method in _IDEMPOTENT[service]]
    config = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [{"name": names, "retryPolicy": _RETRY}],
        "healthCheckConfig": {"serviceName": service},  # a pod that says NOT_SERVING gets no new calls
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
    options = [
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", -1),  # the servers bound their answers, to somewhat more than that
        ("grpc.max_reconnect_backoff_ms", 2_000),  # a server that is back should be found soon
        # Addresses are looked up again when a connection is lost or has come of age, but no more often than this.
        ("grpc.dns_min_time_between_resolutions_ms", 10_000),
        # http_proxy and https_proxy are meant for the web; gRPC would send calls for localhost through them too.
        ("grpc.enable_http_proxy", int("grpc_proxy" in os.environ)),
        *CLIENT_KEEPALIVE,
        ("grpc.service_config", json.dumps(config)),
        # A request larger than this buffer is not retried; gRPC's default would leave out most photos.
        ("grpc.per_rpc_retry_buffer_size", MAX_MESSAGE_BYTES),
    ]
    if credentials:
        return grpc.aio.secure_channel(address, credentials, options=options)
    return grpc.aio.insecure_channel(address, options=options)
