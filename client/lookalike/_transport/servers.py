"""Know the two servers: their addresses, a channel to each, and how they are reached."""

import asyncio
from typing import Final
from weakref import WeakKeyDictionary

import grpc

from lookalike._transport.call_context import TOKEN, trace_headers
from lookalike._transport.channel import EMBEDDER, SEARCHER, open_channel
from lookalike._transport.loopback import stays_here
from lookalike._transport.retry import Outage, RetryBudget
from lookalike.credentials import Credentials, unusable

_NAMES: Final = {EMBEDDER: "embedder", SEARCHER: "searcher"}


class Servers:
    """Opens a channel on first use, one for each event loop: a channel belongs to the loop that it was opened on.

    So a client at the module level outlives `asyncio.run`, and can be used by the next one.

    Args:
        embedder: the embedder's address.
        searcher: the searcher's address.
        timeout: seconds until a call gives up.
        credentials: how they are reached.
    """

    def __init__(self, embedder: str, searcher: str, timeout: float, credentials: Credentials) -> None:
        self._credentials = credentials
        self._addresses = {EMBEDDER: embedder, SEARCHER: searcher}
        self._channels: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, grpc.aio.Channel]] = WeakKeyDictionary()
        self._outages = {service: Outage() for service in self._addresses}
        self._retry_budgets = {service: RetryBudget() for service in self._addresses}
        self.timeout = timeout

    def name(self, service: str) -> str:
        """Return what error messages call the server."""
        return f"the {_NAMES[service]} at {self._addresses[service]}"

    def outage(self, service: str) -> Outage:
        """Return the server's outage, which all calls share."""
        return self._outages[service]

    def retry_budget(self, service: str) -> RetryBudget:
        """Return the budget for calls that the server refuses as it is overloaded, which all calls share."""
        return self._retry_budgets[service]

    def channel(self, service: str) -> grpc.aio.Channel:
        """Return this event loop's channel to the server."""
        channels = self._of_this_loop()
        if service not in channels:
            channels[service] = open_channel(self._addresses[service], service, self._credentials.for_channel())
        return channels[service]

    def metadata(self, service: str, request_id: str) -> grpc.aio.Metadata:
        """Return what a request carries beside its message.

        Raises:
            PreconditionError: there is a token that cannot be read, or that everybody on its way could.
        """
        carried = grpc.aio.Metadata(("x-request-id", request_id), *trace_headers().items())
        if token := TOKEN.get() or self._credentials.bearer():
            private = self._credentials.encrypted or self._credentials.plaintext_token
            if not private and not stays_here(self._addresses[service]):
                raise unusable(
                    f"a token is not sent to {self.name(service)} unencrypted: set LOOKALIKE_TLS or LOOKALIKE_TLS_CA,"
                    " or LOOKALIKE_PLAINTEXT_TOKEN where something else encrypts"
                )
            carried.add("authorization", f"Bearer {token}")
        return carried

    async def close(self) -> None:
        """Close this event loop's channels; what is in flight is cancelled."""
        for channel in self._of_this_loop().values():
            await channel.close()

    def _of_this_loop(self) -> dict[str, grpc.aio.Channel]:
        return self._channels.setdefault(asyncio.get_running_loop(), {})
