"""Keep recent results by the hash of the file or the text, so that none is embedded twice.

One process computes in one space, so that the hash is the key; texts have keys of their own. A result without a
fingerprint, or without views, is none for those who ask for them: the file is embedded again.
"""

import hashlib
import threading
from collections import OrderedDict

from lookalike_embedder.job import Embedded, Job


class Cache:
    """The cache keeps the results used last, at most `size` of them; 0: none.

    Each has 2 KiB of vector; where they were asked for, 5 to 8 kB of fingerprint, and 2 KiB for each view. It is
    thread-safe.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[tuple[bool, bytes], Embedded] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many results are kept."""
        return len(self._entries)

    def answers(self, job: Job) -> bool:
        """Set the job's hash, and its result if that is kept. Returns whether it is."""
        job.sha256 = hashlib.sha256(job.data).digest()
        key = (job.is_text, job.sha256)
        with self._lock:
            result = self._entries.get(key)
            if result and _is_enough(result, job):
                self._entries.move_to_end(key)
                job.result, job.cached = result, True
        return job.cached

    def put(self, embedded: Embedded) -> None:
        """Keep a result; if the cache is full, the result that was used longest ago is dropped."""
        if not self._size:
            return
        key = (embedded.info is None, embedded.sha256)
        with self._lock:
            self._entries[key] = embedded
            self._entries.move_to_end(key)
            if len(self._entries) > self._size:
                self._entries.popitem(last=False)


def _is_enough(result: Embedded, job: Job) -> bool:
    """Return whether the result has all that the job wants."""
    return bool((result.fingerprint or not job.wants_fingerprint) and (result.views or not job.wants_views))
