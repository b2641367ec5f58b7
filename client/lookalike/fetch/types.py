"""Define the interface of a fetch backend: its settings, its result and its errors."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import grpc

from lookalike._concurrency.budget import Room
from lookalike.constants import MAX_IMAGE_BYTES
from lookalike.errors import LookalikeError, UnreadableImageError

UNRESOLVED: Final = "HOST_NOT_FOUND"
"""The reason of a failure to look up a host's address."""
MAX_STAMP: Final = 256
"""The most bytes of a stamp; a longer stamp is not stored."""


@dataclass(frozen=True)
class Settings:
    """Settings say how images are fetched.

    Attributes:
        per_host: the most images that are fetched from one host at once.
        timeout: seconds that fetching one image may take.
        attempts: how often a fetch is tried before the image is put off.
        patience: seconds for which a host may fail without any success before its images are given up.
        private_redirects: whether redirects may lead to addresses that are not public.
        max_bytes: bytes of the largest image that is read.
        trust_manifests: whether manifests from the web and from stores may name any URI, as local manifests may.
        reread: whether images are read although their stamps say that they have not changed.
    """

    per_host: int = 8
    timeout: float = 30.0
    attempts: int = 3
    patience: float = 7200.0
    private_redirects: bool = False
    max_bytes: int = MAX_IMAGE_BYTES
    trust_manifests: bool = False
    reread: bool = False


DEFAULT_SETTINGS: Final = Settings()


@dataclass(frozen=True)
class Fetched:
    """Fetched is the result of a fetch.

    Attributes:
        data: the bytes of the image file; empty if it was not to be read.
        stamp: the version of the file, which tells later whether it has changed; empty if the host tells none.
        sha256: the hash of the file; empty if it has not been computed yet.
    """

    data: bytes
    stamp: str
    sha256: bytes = b""


class Failed(UnreadableImageError):
    """The image cannot be fetched, and a retry would not help."""


class TransientFailure(UnreadableImageError):
    """The image cannot be fetched now, but a retry may succeed.

    Attributes:
        wait: seconds for which the host asked not to be contacted; 0 if it did not ask.
        image_failed: whether this image has failed, as far as can be told, and not its host.
    """

    def __init__(self, message: str, *, reason: str, wait: float = 0.0, image_failed: bool = True) -> None:
        super().__init__(message, reason=reason)
        self.wait, self.image_failed = wait, image_failed


@dataclass(frozen=True)
class Waiting:
    """Waiting says that a host is paused, and its images wait.

    Attributes:
        host: the name of the host, or of the bucket.
        why: the last error.
        until: when it may be contacted again.
    """

    host: str
    why: str
    until: datetime


class Backend(Protocol):
    """Backend is the interface of everything that fetches images."""

    async def fetch(self, uri: str, stamp: str, room: Room | None) -> Fetched | None:
        """Fetch the image file at the URI; return None if the file still has the given stamp.

        Args:
            uri: the URI of the image.
            stamp: the stamp of the version that is known; empty if none is known.
            room: the memory that the file may take; None if the file is not to be read: then the result has no data.

        Raises:
            Failed: the image cannot be fetched, and a retry would not help.
            TransientFailure: the image cannot be fetched now.
        """
        ...


def too_large(uri: str, limit: int) -> LookalikeError:
    """Return the error of an image that is larger than `limit` bytes."""
    return Failed(
        f"{uri}: at most {limit} bytes can be sent, got more",
        reason="IMAGE_TOO_LARGE",
        metadata={"limit_bytes": str(limit)},
        code=grpc.StatusCode.INVALID_ARGUMENT,
    )


def storable_stamp(stamp: str) -> str:
    """Return the stamp if it can be stored, else an empty stamp."""
    return stamp if len(stamp.encode()) <= MAX_STAMP and "\0" not in stamp else ""
