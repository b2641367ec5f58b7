"""Read manifests, which name images row by row. Memory stays the same, however many rows there are.

    bytes ─ compression ─ format ─┬─ text ─┬─ delimited ─┐
                                  │        ├─ json_rows ─┤
                                  ├─ parquet ────────────┼─ Row ─ shapes ─ columns ─ row_items ─ Item
                                  └─ feed (XML) ─────────┘

`reader` joins these stages. A `Row` has the names of its columns and their values. `shapes` turns what shops export
into rows with our columns; `columns` finds out which column is which; `row_items` makes the items.
"""

from lookalike.sources.manifest.format import Format, format_of
from lookalike.sources.manifest.options import Options
from lookalike.sources.manifest.reader import binary_items, file_items
from lookalike.sources.manifest.row_items import ORIGIN, PRIVATE

__all__ = ["ORIGIN", "PRIVATE", "Format", "Options", "binary_items", "file_items", "format_of"]
