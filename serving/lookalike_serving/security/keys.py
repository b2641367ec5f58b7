"""Hold the keys that verify tokens, from a JWKS file or a URL. This needs `pyjwt` and `cryptography`."""

import asyncio
import json
import logging
import os
import time
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import jwt

from lookalike._transport.loopback import is_loopback
from lookalike_serving.security import jwks
from lookalike_serving.security.config import InvalidSecurity

logger = logging.getLogger(__name__)

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256"}
)
_SHARED: Final = "oct"
_MIN_SECRET_BYTES: Final = 32
_REFRESH_SECONDS: Final = 300.0
_RETRY_SECONDS: Final = 10.0
"""Keys are fetched no more often than this, whatever key ids tokens bear."""


class Keys:
    """A key set holds the keys of a JWKS that we can use.

    Args:
        text: the JWKS.
        secrets: whether it may hold shared secrets (`oct`, HS256): only where nobody else can read it.

    Raises:
        ValueError: the text is no JWKS, or has no key that we can use.
    """

    def __init__(self, text: str, *, secrets: bool) -> None:
        try:
            keys = jwt.PyJWKSet.from_dict(json.loads(text)).keys
        except (jwt.PyJWTError, ValueError, AttributeError, TypeError, RecursionError) as error:
            raise ValueError(f"no key set: {error}") from None
        self._keys = [key for key in keys if _is_usable(key, secrets=secrets)]
        if not self._keys:
            raise ValueError(f"none of its {len(keys)} keys can be used")

    def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """Return the key with this id; without an id, the only key, if there is just one."""
        if key_id is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.key_id == key_id), None)


def _is_usable(key: jwt.PyJWK, *, secrets: bool) -> bool:
    if key.public_key_use not in (None, "sig") or key.algorithm_name not in ALGORITHMS:
        return False
    if key.key_type != _SHARED:
        return True
    secret: Any = key.key
    return secrets and len(secret) >= _MIN_SECRET_BYTES


class Source(Protocol):
    """A source is where keys come from."""

    version: int
    """The version grows when the keys change."""

    async def keys(self, *, refresh: bool = False) -> Keys | None:
        """Return the current keys; None if there are none yet.

        Args:
            refresh: fetch them again first, if the last time is long enough ago.
        """
        ...


class FileSource:
    """The source reads keys from a file, again when the file has changed. A file that cannot be read changes nothing.

    Raises:
        InvalidSecurity: the file cannot be read at the start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._trouble = ""
        self.version = 0
        try:
            self._seen = self._stamp()
            self._keys = Keys(path.read_text(), secrets=True)
        except (OSError, ValueError) as error:
            raise InvalidSecurity(f"--jwks {path}: {error}") from error

    async def keys(self, *, refresh: bool = False) -> Keys:
        """Return the keys that were last read successfully; see `Source`."""
        try:
            if (stamp := self._stamp()) != self._seen:
                self._seen = stamp
                self._keys = Keys(self._path.read_text(), secrets=True)
                self.version += 1
                self._trouble = ""
                logger.info("keys read again from %s", self._path)
        except (OSError, ValueError) as error:
            if str(error) != self._trouble:
                logger.error("%s: %s; the keys before are kept", self._path, error)  # noqa: TRY400 - the cause is said
            self._trouble = str(error)
        return self._keys

    def _stamp(self) -> tuple[int, int, int]:
        status = os.stat(self._path)  # this follows links, which Kubernetes replaces
        return status.st_ino, status.st_mtime_ns, status.st_size


class UrlSource:
    """The source fetches keys from a URL every few minutes, and when a token names an unknown key.

    Raises:
        InvalidSecurity: the URL does not protect the keys on their way, or is not valid.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            raise InvalidSecurity(f"--jwks-url must begin with https://, got {parts.scheme}://")
        if parts.username is not None:
            raise InvalidSecurity("--jwks-url must hold no password: it is named in the log")
        try:
            named = bool(parts.hostname) and parts.port != 0
        except ValueError:
            named = False
        if not named:
            raise InvalidSecurity("--jwks-url must name a host, and a port of 1 to 65535 if any")
        self._url = url
        self._keys: Keys | None = None
        self._fetched_at = -_REFRESH_SECONDS
        self._fetching = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None
        self.version = 0

    async def keys(self, *, refresh: bool = False) -> Keys | None:
        """Return the keys that were last fetched successfully; see `Source`."""
        if self._keys and not refresh:
            if self._is_due(_REFRESH_SECONDS):
                self._refreshing = asyncio.create_task(self._fetch())  # nobody waits for it
            return self._keys
        async with self._fetching:
            if self._is_due(_RETRY_SECONDS):
                await self._fetch()
        return self._keys

    def _is_due(self, seconds: float) -> bool:
        """Return whether the last fetch began so many seconds ago, or more; if so, a new one begins now."""
        now = time.monotonic()
        if due := now - self._fetched_at >= seconds:
            self._fetched_at = now
        return due

    async def _fetch(self) -> None:
        try:
            self._keys = Keys(await asyncio.to_thread(jwks.fetch, self._url), secrets=False)
        except (ValueError, OSError) as error:
            consequence = "the keys before are kept" if self._keys else "no token can be verified"
            logger.error("%s: %s; %s", self._url, error, consequence)  # noqa: TRY400 - the cause is said
        else:
            self.version += 1
