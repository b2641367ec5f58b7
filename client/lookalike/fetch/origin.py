"""What an item may name, by where the manifest comes from that names it.

A manifest of this machine is its user's: it names what it likes. One that was read from the web or from a store is
somebody else's: it names what is on the web, and what is in its own store.
"""

import re
from typing import Final

from lookalike.fetch.types import Failed
from lookalike.records import Origin

WEB: Final = ("http", "https")
LOCAL: Final = ("file", "local")
"""Both are files of this machine; the latter is fsspec's name for them."""
_BUCKETS: Final = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss")
"""Stores whose URLs name a bucket: endpoint and credentials come from the environment."""
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):").match
_AZURE: Final = re.compile(r"[^@]+@[a-z0-9]{3,24}\.(?:dfs|blob)\.core\.windows\.net").fullmatch
"""A container of an account: the one case in which a URL says more than a bucket."""


def scheme_of(uri: str) -> str:
    """The URI's scheme, in small letters. Raises Failed: it has none."""
    if not (named := _SCHEME(uri)):
        raise Failed(f"{uri!r}: must begin with file:, https: or the like", reason="INVALID_URI")
    return named[1].lower()


def check(uri: str, origin: Origin | None) -> None:
    """Raise Failed if the URI names what it may not.

    Args:
        uri: of an item.
        origin: of the item; None: its user's own.
    """
    scheme = scheme_of(uri)
    if scheme not in (*WEB, *LOCAL):
        _check_store(uri, scheme)
    if origin is None or scheme in WEB:
        return
    own = _authority(origin.url)
    if scheme in LOCAL or _authority(uri) != own:
        raise _refused(uri, f"its manifest is of {own}, and may name only http: and https: URLs, and what is in there")
    if ".." in uri.split("/"):
        raise _refused(uri, "leads out of a folder, by `..`")


def _check_store(uri: str, scheme: str) -> None:
    """Raise Failed if the URI says more than where something is."""
    if "::" in uri:
        raise _refused(uri, "is a chain of fsspec's (`::`); name the file itself")
    authority = _authority(uri).partition("://")[2]
    if scheme in _BUCKETS and "@" in authority and not _AZURE(authority):
        raise _refused(uri, "names an account or a server; they are set by the environment alone")


def _authority(uri: str) -> str:
    """Scheme and host, bucket or container: what comes before the path."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme.lower()}://{re.split('[/?#]', rest, maxsplit=1)[0]}"


def _refused(uri: str, why: str) -> Failed:
    return Failed(f"{uri}: {why}", reason="URI_REFUSED")
