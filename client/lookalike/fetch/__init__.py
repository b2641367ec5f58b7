"""Read images from where their URIs point: local files, http(s), and every store that fsspec knows.

    fetcher ─┬─ origin    which URIs a manifest may name, by where the manifest comes from
             ├─ local     files of this machine ── thread_batcher
             ├─ web       http and https ── connector ── proxy, address (allowed addresses) ── ranges (public addresses)
             └─ remote    s3, gs, abfs … by fsspec       the last two ── host_limiter (load on each host)

`web` and `remote` are imported when they are first needed, because their dependencies come with an extra.
"""

from lookalike.fetch.fetcher import Fetcher
from lookalike.fetch.types import DEFAULT_SETTINGS, Backend, Failed, Fetched, Settings, TransientFailure, Waiting

__all__ = ["DEFAULT_SETTINGS", "Backend", "Failed", "Fetched", "Fetcher", "Settings", "TransientFailure", "Waiting"]
