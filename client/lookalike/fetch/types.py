"""What is asked of a place where images are, and what it answers."""

from dataclasses import dataclass
from typing import Final, Protocol

import grpc

from lookalike._concurrency.budget import Room
from lookalike.constants import MAX_IMAGE_BYTES
from lookalike.errors import LookalikeError, UnreadableImageError

MAX_STAMP: Final = 256
"""Bytes of a stamp; a longer one is not kept."""


@dataclass(frozen=True)
class Settings:
    """How images are fetched.

    Attributes:
        per_host: how many images are fetched from one host at once.
        timeout: seconds that an image may take.
        attempts: how often a fetch is tried before the image is put off.
        patience: seconds that a host may fail without any success before its images are given up.
        private_redirects: whether redirects may lead to addresses that are not public.
        max_bytes: the largest image that is read.
        trust_manifests: whether manifests from the web and from stores may name what those of this machine may.
    """

    per_host: int = 8
    timeout: float = 30.0
    attempts: int = 3
    patience: float = 7200.0
    private_redirects: bool = False
    max_bytes: int = MAX_IMAGE_BYTES
    trust_manifests: bool = False


@dataclass(frozen=True)
class Fetched:
    """An image file, the stamp that tells whether it has changed since, and the hash; empty where there is none yet."""

    data: bytes
    stamp: str
    sha256: bytes = b""


class Failed(UnreadableImageError):
    """An image cannot be fetched, and trying again would not help."""


class Passing(UnreadableImageError):
    """An image cannot be fetched now.

    Attributes:
        wait: seconds for which its host should be left alone; 0 if it did not say.
        asked: whether it is this very image that failed, as far as can be told, and not its host.
    """

    def __init__(self, message: str, *, reason: str, wait: float = 0.0, asked: bool = True) -> None:
        super().__init__(message, reason=reason)
        self.wait, self.asked = wait, asked


class Place(Protocol):
    """Where images are."""

    async def fetch(self, uri: str, stamp: str, room: Room | None) -> Fetched | None:
        """The image file at the URI; None if it is the one that the stamp is of.

        Args:
            uri: of the image.
            stamp: of what is known; empty if nothing is.
            room: where it is to be held; None: the file is not to be read, and what is returned has no data.

        Raises:
            Failed, Passing: it cannot be fetched.
        """
        ...


def too_large(uri: str, most: int) -> LookalikeError:
    """The error of an image that is larger than can be sent."""
    return Failed(
        f"{uri}: at most {most} bytes can be sent, got more",
        reason="IMAGE_TOO_LARGE",
        metadata={"limit_bytes": str(most)},
        code=grpc.StatusCode.INVALID_ARGUMENT,
    )


def kept(stamp: str) -> str:
    """The stamp, if it can be kept."""
    return stamp if len(stamp.encode()) <= MAX_STAMP and "\0" not in stamp else ""
