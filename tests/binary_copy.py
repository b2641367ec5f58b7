"""Read and write PostgreSQL's binary COPY, as backups hold it, to spoil or to change it."""

import struct

Row = list[bytes | None]


def rows(data: bytes) -> list[Row]:
    """The rows of a binary COPY."""
    at, found = 19, []
    while (count := struct.unpack_from(">h", data, at)[0]) >= 0:
        at, row = at + 2, list[bytes | None]()
        for _ in range(count):
            size = struct.unpack_from(">i", data, at)[0]
            row.append(data[at + 4 : at + 4 + size] if size >= 0 else None)
            at += 4 + max(0, size)
        found.append(row)
    return found


def copied(found: list[Row]) -> bytes:
    """Return rows as a binary COPY."""
    body = b"".join(
        struct.pack(">h", len(row))
        + b"".join(struct.pack(">i", -1) if one is None else struct.pack(">i", len(one)) + one for one in row)
        for row in found
    )
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + body + b"\xff\xff"
