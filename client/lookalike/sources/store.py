"""Files of object stores, by prefix or pattern, and manifests there or behind URLs, by fsspec."""

import glob
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import IO, Any, Final

from lookalike.errors import InvalidRequestError, LookalikeError
from lookalike.fetch import Failed, origin
from lookalike.records import Item, Origin
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
    return not name.lower().startswith(_WEB) and (name.endswith("/") or glob.has_magic(name))


def manifest_items(name: str, form: manifest.Format, failed: manifest.Failed) -> Iterator[Item]:
    """Yield the items of a manifest; arguments and errors as `manifest.file_items`."""
    try:
        file, is_private = _opened(name)
        with file:
            base, of = name.rpartition("/")[0], Origin(name, is_private())
            yield from manifest.binary_items(file, form, name, base, failed, of)
    except LookalikeError:
        raise
    except Exception as error:  # each store has exceptions of its own
        why = error.__cause__ or error  # fsspec says of what it could not reach that it is not there
        raise InvalidRequestError(f"{name}: cannot be read: {why}", reason="UNREADABLE") from error


def _opened(name: str) -> tuple[IO[bytes], Callable[[], bool]]:
    """The file at a URL, and whether it was read from an address that is not public."""
    if name.lower().startswith(_WEB):
        _need_fsspec(name)
        from lookalike.sources.web import opened

        return opened(name)
    files, path = _store(name)
    return files.open(path, "rb"), lambda: False


def _store(name: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
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
