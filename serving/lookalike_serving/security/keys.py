"""The keys that verify tokens: a JWKS file, or a URL that serves one. Needs `pyjwt` and `cryptography`."""

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
_LEAST_SECRET_BYTES: Final = 32
_REFRESH_SECONDS: Final = 300.0
_RETRY_SECONDS: Final = 10.0
"""Least time between two requests for keys, whatever key ids tokens may bear."""


class Keys:
    """A set of keys.

    Args:
        text: a JWKS.
        secrets: whether it may hold shared secrets (`oct`, HS256): only where nobody else can read it.

    Raises:
        ValueError: it is no JWKS, or has no key that we can use.
    """

    def __init__(self, text: str, *, secrets: bool) -> None:
        try:
            found = jwt.PyJWKSet.from_dict(json.loads(text)).keys
        except (jwt.PyJWTError, ValueError, AttributeError, TypeError, RecursionError) as error:
            raise ValueError(f"no key set: {error}") from None
        self._keys = [key for key in found if _is_usable(key, secrets=secrets)]
        if not self._keys:
            raise ValueError(f"none of its {len(found)} keys can be used")

    def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """The key of this id; without one, the only one there is."""
        if key_id is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.key_id == key_id), None)


def _is_usable(key: jwt.PyJWK, *, secrets: bool) -> bool:
    if key.public_key_use not in (None, "sig") or key.algorithm_name not in ALGORITHMS:
        return False
    if key.key_type != _SHARED:
        return True
    secret: Any = key.key
    return secrets and len(secret) >= _LEAST_SECRET_BYTES


class Source(Protocol):
    """Where keys come from."""

    version: int
    """Grows when the keys change."""

    async def keys(self, *, anew: bool = False) -> Keys | None:
        """The keys now; None if there have been none yet. `anew`: they should be asked for again, if that is due."""
        ...


class FileSource:
    """Keys in a file, which is read again when it has changed. What cannot be read changes nothing.

    Raises:
        InvalidSecurity: it cannot be read at the beginning.
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

    async def keys(self, *, anew: bool = False) -> Keys:
        """See `Source`."""
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
        status = os.stat(self._path)  # through links, as Kubernetes changes those
        return status.st_ino, status.st_mtime_ns, status.st_size


class UrlSource:
    """Keys behind a URL, asked for every few minutes, and when a token names one that is not known.

    Raises:
        InvalidSecurity: the URL is none that keeps the keys genuine on their way.
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
        self._asked = -_REFRESH_SECONDS
        self._asking = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None
        self.version = 0

    async def keys(self, *, anew: bool = False) -> Keys | None:
        """See `Source`."""
        if self._keys and not anew:
            if self._is_due(_REFRESH_SECONDS):
                self._refreshing = asyncio.create_task(self._ask())  # for which nobody waits
            return self._keys
        async with self._asking:
            if self._is_due(_RETRY_SECONDS):
                await self._ask()
        return self._keys

    def _is_due(self, seconds: float) -> bool:
        """Whether so long ago, or longer, they were asked for; if so, they are from now on."""
        now = time.monotonic()
        if due := now - self._asked >= seconds:
            self._asked = now
        return due

    async def _ask(self) -> None:
        try:
            self._keys = Keys(await asyncio.to_thread(jwks.fetch, self._url), secrets=False)
        except (ValueError, OSError) as error:
            kept = "the keys before are kept" if self._keys else "no token can be verified"
            logger.error("%s: %s; %s", self._url, error, kept)  # noqa: TRY400 - the cause is said
        else:
            self.version += 1
