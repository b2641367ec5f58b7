"""Real processes."""

import os

# Each start of an embedder would measure batch sizes for 3 s; `test_batch_size` and the embedder's own tests do.
os.environ.setdefault("LOOKALIKE_EMBEDDER_MAX_BATCH_SIZE", "1")
