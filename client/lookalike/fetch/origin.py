"""Check that an item's URI is one that its manifest may name, by where the manifest comes from.

A manifest of this machine belongs to its user and may name any URI. A manifest from the web or from a store belongs to
somebody else: it may name URLs of the web and files of its own store only.
"""

import re
from typing import Final

from lookalike.fetch.types import Failed
from lookalike.records import Origin

WEB: Final = ("http", "https")
LOCAL: Final = ("file", "local")
"""Schemes of files of this machine; `local` is fsspec's name for `file`."""
_BUCKETS: Final = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss")
"""Stores whose URLs name a bucket: endpoint and credentials come from the environment."""
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):").match
_AZURE: Final = re.compile(r"[^@]+@[a-z0-9]{3,24}\.(?:dfs|blob)\.core\.windows\.net").fullmatch
"""Matches a container with its account: the only case in which a URL may name more than a bucket."""


def is_web(name: str) -> bool:
    """Return whether the name is a URL of http or https."""
    scheme, separator, _ = name.partition("://")
    return bool(separator) and scheme.lower() in WEB


def scheme_of(uri: str) -> str:
    """Return the URI's scheme in lower case. Raises Failed if the URI has no scheme."""
    if not (match := _SCHEME(uri)):
        raise Failed(f"{uri!r}: must begin with file:, https: or the like", reason="INVALID_URI")
    return match[1].lower()


def check(uri: str, origin: Origin | None) -> None:
    """Raise Failed if a manifest of this origin may not name the URI.

    Args:
        uri: the URI of an item.
        origin: the origin of the item; None if the item is from a manifest of this machine.
    """
    scheme = scheme_of(uri)
    if scheme not in (*WEB, *LOCAL):
        _check_store(uri, scheme)
    if origin is None or scheme in WEB:
        return
    own = _authority(origin.url)
    if scheme in LOCAL or _authority(uri) != own:
        raise _refused(uri, f"its manifest is from {own}, and may name only http: and https: URLs, and files in {own}")
    if ".." in uri.split("/"):
        raise _refused(uri, "must not contain `..`, which leads out of a folder")


def _check_store(uri: str, scheme: str) -> None:
    """Raise Failed if the URI contains more than a bucket and a path."""
    if "::" in uri:
        raise _refused(uri, "is an fsspec chain (`::`); name the file itself")
    authority = _authority(uri).partition("://")[2]
    if scheme in _BUCKETS and "@" in authority and not _AZURE(authority):
        raise _refused(uri, "names an account or a server; these are set by the environment alone")


def _authority(uri: str) -> str:
    """Return scheme and host, bucket or container, which come before the path."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme.lower()}://{re.split('[/?#]', rest, maxsplit=1)[0]}"


def _refused(uri: str, why: str) -> Failed:
    return Failed(f"{uri}: {why}", reason="URI_REFUSED")
