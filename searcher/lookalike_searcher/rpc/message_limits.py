"""Limit the searcher's requests to the bytes and fields of the largest that `parse` accepts."""

from typing import Final

from lookalike._transport.channel import SEARCHER
from lookalike_searcher import validation
from lookalike_searcher.database.halfvec import MAX_DIMENSIONS
from lookalike_searcher.projects.projection import MAX_NUMBERS
from lookalike_serving.parsing import Limits

_NAMES: Final = 64 * 1024
"""A thousand search ids have 24 bytes each, as many hashes 34."""
_HASHES: Final = 512 * 1024
"""Ten thousand hashes have 34 bytes each."""
_FILTER: Final = 1024 * 1024
"""A thousand products and as many variants, of 259 bytes, and 16 groups of 64 labels, of 331 bytes, are 0.9 MB."""
_SEARCH: Final = 6 * 1024 * 1024
"""A filter and 200 examples of 4,000 numbers, of 5 bytes at most, are 4.9 MB."""
_FEEDBACK: Final = 3 * 1024 * 1024
"""A hundred searches with a vector of 4,000 numbers and a URI, of 22 kB, and a thousand verdicts of 44 bytes are 2.3
MB."""

_PROJECTION: Final = 4 * MAX_NUMBERS + 64 * 1024
"""A matrix, of 4 bytes a number as all libraries pack them, a centre and names."""

_FIELD: Final = 64 * 1024
"""A vector of 4,000 numbers has 16 to 20 kB, a URI 2 KiB. To parse an unknown field of 14 MiB took 70 ms of the event
loop."""

LIMITS: Final = Limits(
    longest=_FIELD,
    bytes={
        f"{SEARCHER}/{method}": limit
        for method, limit in {
            "IndexImages": None,
            "SyncProduct": None,
            "DeleteImages": None,
            "CheckReferences": None,
            "SearchBatch": None,
            "CheckImages": _HASHES,
            "ListImages": _FILTER,
            "Search": _SEARCH,
            "RecordFeedback": _FEEDBACK,
            "DeleteFeedback": _NAMES,
            "CreateSpace": _PROJECTION,
            "FindDuplicates": 2 * _FILTER,
            "MergeDuplicates": _NAMES,
        }.items()
    },
    entries={
        f"lookalike.v1.{field}": limit
        for field, limit in {
            "Embedding.values": MAX_DIMENSIONS,
            "Reference.labels": validation.MAX_LABELS,
            "IndexImagesRequest.entries": validation.MAX_ENTRIES,
            "IndexImagesRequest.further_embeddings": validation.MAX_FURTHER_EMBEDDINGS,
            "ImageEntry.further_embeddings": validation.MAX_FURTHER_EMBEDDINGS,
            "SyncProductRequest.entries": validation.MAX_SYNCED,
            "DeleteImagesRequest.uris": validation.MAX_NAMED,
            "DeleteImagesRequest.products": validation.MAX_NAMED,
            "DeleteImagesRequest.sha256s": validation.MAX_NAMED,
            "DeleteImagesRequest.references": validation.MAX_NAMED,
            "CheckImagesRequest.sha256s": validation.MAX_HASHES,
            "CheckReferencesRequest.references": validation.MAX_NAMED,
            "Filter.products": validation.MAX_NAMED,
            "Filter.variants": validation.MAX_NAMED,
            "Filter.labels": validation.MAX_LABEL_GROUPS,
            "LabelGroup.any_of": validation.MAX_LABELS,
            "SearchRequest.positives": validation.MAX_EXAMPLES,
            "SearchRequest.negatives": validation.MAX_EXAMPLES,
            "SearchRequest.views": validation.MAX_VIEWS,
            "SearchBatchRequest.requests": validation.MAX_BATCH,
            "RecordFeedbackRequest.searches": validation.MAX_JUDGED,
            "SearchFeedback.verdicts": validation.MAX_VERDICTS,
            "DeleteFeedbackRequest.search_ids": validation.MAX_NAMED,
            "MergeDuplicatesRequest.duplicate_sha256s": validation.MAX_NAMED,
            "DismissDuplicatesRequest.sha256s": validation.MAX_DISMISSED,
            "DeleteDismissalsRequest.sha256s": validation.MAX_DISMISSED,
            "Projection.matrix": MAX_NUMBERS,
            "Projection.centre": MAX_DIMENSIONS,
        }.items()
    },
)
