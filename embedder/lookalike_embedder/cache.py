"""Embed once: the answers of late, by the hash of the file.

One process computes in one space, so that the hash is the whole key.
"""

import hashlib
import threading
from collections import OrderedDict

from lookalike_embedder.job import Embedded, Job


class Cache:
    """The answers used last, at most `size` of them (2 KiB of vector each); 0 keeps none. Safe for all threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[bytes, Embedded] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many answers are kept."""
        return len(self._entries)

    def answers(self, job: Job) -> bool:
        """Note the job's hash, and its answer if it is kept; whether it is."""
        job.sha256 = hashlib.sha256(job.data).digest()
        with self._lock:
            if found := self._entries.get(job.sha256):
                self._entries.move_to_end(job.sha256)
                job.result, job.cached = found, True
        return job.cached

    def put(self, embedded: Embedded) -> None:
        """Keep an answer; the one unused for longest goes."""
        if not self._size:
            return
        with self._lock:
            self._entries[embedded.sha256] = embedded
            self._entries.move_to_end(embedded.sha256)
            if len(self._entries) > self._size:
                self._entries.popitem(last=False)
