"""Files of object stores, by prefix or pattern, and manifests there or behind URLs, by fsspec."""

import glob
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, Final

from lookalike.errors import InvalidRequestError
from lookalike.records import Item
from lookalike.sources import manifest
from lookalike.sources.folder import EXTENSIONS

_WEB: Final = ("http://", "https://")


def uris(name: str) -> Iterator[str]:
    """The URIs of a pattern (`s3://shop/**/*.jpg`), of all images below a prefix that ends in `/`, or the one itself.

    Raises:
        InvalidRequestError: the store cannot be listed.
    """
    if not is_several(name):
        yield name
        return
    files, path = _store(name)
    try:
        found = files.glob(path) if glob.has_magic(name) else files.find(path)
    except Exception as error:  # each store has exceptions of its own
        raise InvalidRequestError(f"{name}: cannot be listed: {error}", reason="UNREADABLE") from error
    for one in found:
        if glob.has_magic(name) or one.lower().endswith(tuple(EXTENSIONS)):
            yield files.unstrip_protocol(one)


def is_several(name: str) -> bool:
    """Whether it is a prefix or a pattern of a store, and not one file's URL."""
    return not name.startswith(_WEB) and (name.endswith("/") or glob.has_magic(name))


def manifest_items(name: str, form: manifest.Format, failed: manifest.Failed) -> Iterator[Item]:
    """Yield the items of a manifest; arguments and errors as `manifest.file_items`."""
    files, path = _store(name)
    try:
        file = files.open(path, "rb")
    except Exception as error:  # each store has exceptions of its own
        raise InvalidRequestError(f"{name}: cannot be read: {error}", reason="UNREADABLE") from error
    with file:
        yield from manifest.binary_items(file, form, name, name.rpartition("/")[0], failed)


def _store(name: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    if find_spec("fsspec") is None:
        raise InvalidRequestError(f"{name}: needs the extra `index`: pip install 'lookalike[index]'")
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(name)
    except (ImportError, ValueError) as error:
        raise InvalidRequestError(f"{name}: {error}", reason="NOT_INSTALLED") from error
    return files, str(path)
