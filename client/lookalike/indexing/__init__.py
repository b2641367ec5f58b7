"""Index images into a project, whatever they come from, once each.

    run ── pipeline ─┬─ job        an item under way
                     ├─ calls      what is asked of the servers
                     ├─ hashing    which image it is
                     ├─ embedding  images get their vectors
                     ├─ storing    the last stage
                     ├─ attempts   whether what failed is tried again
                     └─ spool      items that were put off
    plan                           what a run would do
    prune ── seen                  deletes what a manifest no longer has
    shard                          which items are whose

The truth is in the database: nothing here outlives a run.
"""

from lookalike.indexing.job import Stage, Watch
from lookalike.indexing.pipeline import Items
from lookalike.indexing.plan import Change, Plan
from lookalike.indexing.seen import Earlier, Seen
from lookalike.indexing.shard import Shard

__all__ = ["Change", "Earlier", "Items", "Plan", "Seen", "Shard", "Stage", "Watch"]
