"""Reads images from where their URIs point: files here, http(s), and whatever fsspec knows.

    fetcher ─┬─ origin    what may be named, by where the manifest is from
             ├─ local     files of this machine ── trips (to threads)
             ├─ web       http and https ── connector ── address (what is connected to) ── ranges (what is public)
             └─ remote    s3, gs, abfs … by fsspec       the last two ── host (how much is asked of each)

A place is imported when it is first needed, as what it needs comes with an extra.
"""

from lookalike.fetch.fetcher import Fetcher
from lookalike.fetch.types import Failed, Fetched, Passing, Place, Settings

__all__ = ["Failed", "Fetched", "Fetcher", "Passing", "Place", "Settings"]
