"""Define how manifests are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lookalike.sources.manifest.format import Format


@dataclass(frozen=True)
class Options:
    """Options say how manifests are read.

    Attributes:
        form: the format; `AUTO` finds it out.
        columns: for each of our columns, or for a label, the manifest's column that it is read from.
        encoding: the encoding of text; empty: UTF-8, or what a byte order mark says.
        strict: whether a row is refused where something would be left out of it.
    """

    form: Format = Format.AUTO
    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str = ""
    strict: bool = False
