"""List files of object stores by prefix or pattern, and read manifests from stores and URLs, through fsspec."""

import glob
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import IO, Any

from lookalike.errors import InvalidRequestError, LookalikeError
from lookalike.fetch import Failed, origin
from lookalike.records import Item, Origin
from lookalike.sources import manifest
from lookalike.sources.findings import Findings
from lookalike.sources.folder import EXTENSIONS, OnPassedOver


def uris(name: str, passed_over: OnPassedOver = lambda _: None) -> Iterator[str]:
    """Yield the URIs that a source in a store or on the web stands for.

    A pattern (`s3://shop/**/*.jpg`) stands for all files that match, a prefix that ends in `/` for all images below it,
    and any other URI for itself.

    Args:
        name: the source.
        passed_over: is called for each other file below a prefix, with its extension.

    Raises:
        InvalidRequestError: the store cannot be listed.
    """
    if not is_listing(name):
        yield name
        return
    files, path = _store(name)
    try:
        paths = files.glob(path) if glob.has_magic(name) else files.find(path)
    except Exception as error:  # each store has exceptions of its own
        raise InvalidRequestError(f"{name}: cannot be listed: {error}", reason="UNREADABLE") from error
    for file_path in paths:
        if glob.has_magic(name) or file_path.lower().endswith(tuple(EXTENSIONS)):
            yield files.unstrip_protocol(file_path)
        else:
            passed_over(os.path.splitext(file_path)[1].lower() or "no extension")


def is_listing(name: str) -> bool:
    """Return whether the name is a prefix or a pattern of a store, and not the URL of a single file."""
    return not origin.is_web(name) and (name.endswith("/") or glob.has_magic(name))


def manifest_items(name: str, options: manifest.Options, findings: Findings) -> Iterator[Item]:
    """Yield the items of a manifest in a store or on the web; arguments and errors are those of `file_items`."""
    try:
        file, is_private = _open(name)
        with file:
            base = name if origin.is_web(name) else name.rpartition("/")[0]
            manifest_origin = Origin(name, is_private())
            yield from manifest.binary_items(file, name, base, options, findings, manifest_origin)
    except LookalikeError:
        raise
    except Exception as error:  # each store has exceptions of its own
        why = error.__cause__ or error  # fsspec reports a file that it could not reach as one that does not exist
        raise InvalidRequestError(f"{name}: cannot be read: {why}", reason="UNREADABLE") from error


def _open(name: str) -> tuple[IO[bytes], Callable[[], bool]]:
    """Open the file at a URL; the function tells whether it was read from an address that is not public."""
    if origin.is_web(name):
        _need_fsspec(name)
        from lookalike.sources.web import open_manifest

        return open_manifest(name)
    files, path = _store(name)
    return files.open(path, "rb"), lambda: False


def _store(name: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it."""
    _need_fsspec(name)
    import fsspec

    try:
        origin.check(name, None)
        files, path = fsspec.core.url_to_fs(name)
    except Failed as error:
        raise InvalidRequestError(str(error), reason=error.reason) from error
    except (ImportError, ValueError) as error:
        raise InvalidRequestError(f"{name}: {error}", reason="NOT_INSTALLED") from error
    return files, str(path)


def _need_fsspec(name: str) -> None:
    if find_spec("fsspec") is None:
        raise InvalidRequestError(f"{name}: needs the extra `index`: pip install 'lookalike[index]'")
