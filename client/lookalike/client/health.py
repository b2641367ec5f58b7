"""Ask both servers whether they serve."""

import asyncio
from typing import Final

from lookalike._transport.channel import EMBEDDER, SEARCHER
from lookalike.client.base import BaseClient
from lookalike.errors import LookalikeError

_HEALTH_SECONDS: Final = 3.0
"""A server that takes longer to say that it serves does not."""


class HealthMethods(BaseClient):
    """These are the methods of `Client` that ask how both servers are."""

    async def health(self) -> tuple[bool, bool]:
        """Say whether the embedder, and the searcher, serve by their own account: what probes ask, without a token.

        Each has three seconds to say so, whatever the other does.
        """
        embedder, searcher = await asyncio.gather(*map(self._serves, (EMBEDDER, SEARCHER)))
        return embedder, searcher

    async def _serves(self, service: str) -> bool:
        try:
            async with asyncio.timeout(_HEALTH_SECONDS):
                return await self._call().serves(service)
        except (LookalikeError, TimeoutError):
            return False
