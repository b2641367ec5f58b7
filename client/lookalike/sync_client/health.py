"""Ask both servers whether they serve.

`tools/sync_client.py` writes this from `client/health.py`.
"""

from lookalike.sync_client.base import BaseClient


class HealthMethods(BaseClient):
    """These are the methods of `SyncClient` that ask how both servers are."""

    def health(self) -> tuple[bool, bool]:
        """Say whether the embedder, and the searcher, serve by their own account: what probes ask, without a token.

        Each has three seconds to say so, whatever the other does.
        """
        loop, client = self._client()
        return loop.call(client.health())
