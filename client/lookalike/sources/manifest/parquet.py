"""Read Parquet, batch by batch."""

from importlib.util import find_spec
from typing import IO, Any, Final

from lookalike.errors import InvalidRequestError
from lookalike.sources.findings import Findings
from lookalike.sources.manifest.columns import ROLES, fold
from lookalike.sources.manifest.row import Row, Rows, invalid_manifest

_BATCH_ROWS: Final = 4096


def rows(stream: IO[bytes], name: str, findings: Findings) -> Rows:
    """Yield the rows; columns of bytes, which may be large, are not read, unless they have a name of ours.

    Some programs write text as bytes, without saying that it is text.
    """
    if find_spec("pyarrow") is None:
        raise InvalidRequestError(f"{name}: needs the extra `parquet`: pip install 'lookalike[parquet]'")
    from pyarrow import ArrowException, parquet, types

    try:
        file = parquet.ParquetFile(stream)
        columns = []
        for field in file.schema_arrow:
            if _is_text(field.type) or (types.is_binary(field.type) and fold(field.name) in ROLES):
                columns.append(field.name)
            else:
                message = f"{name}: the column `{field.name}` has no text: {field.type}"
                findings.note(name, "COLUMN_DROPPED", message)
        number = 0
        for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
            names = tuple(batch.schema.names)
            for values in zip(*map(_values, batch.columns), strict=True):
                number += 1
                yield Row(number, names, values)
    except ArrowException as error:
        raise invalid_manifest(name, str(error)) from error


def _values(column: Any) -> list[Any]:  # noqa: ANN401 - pyarrow has no types
    from pyarrow import types

    values: list[Any] = (column.cast("string") if types.is_binary(column.type) else column).to_pylist()
    return values


def _is_text(kind: Any) -> bool:  # noqa: ANN401 - pyarrow has no types
    """Return whether the values of a type are text, or numbers or lists of it."""
    from pyarrow import types

    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return True
    return not (types.is_binary(kind) or types.is_large_binary(kind) or types.is_nested(kind))
