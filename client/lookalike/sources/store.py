"""Files of object stores, by prefix or pattern, as fsspec lists them."""

import glob
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

from lookalike.errors import InvalidRequestError
from lookalike.sources.folder import EXTENSIONS

_WEB: Final = ("http://", "https://")


def uris(name: str) -> Iterator[str]:
    """The URIs of a pattern (`s3://shop/**/*.jpg`), of all images below a prefix that ends in `/`, or the one itself.

    Raises:
        InvalidRequestError: the store cannot be listed.
    """
    if name.startswith(_WEB) or not (name.endswith("/") or glob.has_magic(name)):
        yield name
        return
    if find_spec("fsspec") is None:
        raise InvalidRequestError(f"{name}: needs the extra `index`: pip install 'lookalike[index]'")
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(name)
        found = files.glob(path) if glob.has_magic(name) else files.find(path)
    except Exception as error:  # each store has exceptions of its own
        raise InvalidRequestError(f"{name}: cannot be listed: {error}", reason="UNREADABLE") from error
    for one in found:
        if glob.has_magic(name) or one.lower().endswith(tuple(EXTENSIONS)):
            yield files.unstrip_protocol(one)
