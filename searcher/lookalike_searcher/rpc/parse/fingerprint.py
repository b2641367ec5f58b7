"""Parse fingerprints, which must be of this program's version."""

from lookalike.v1 import common_pb2 as common
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.images import fingerprint_rules
from lookalike_serving.fingerprint import NAME, Fingerprint


def fingerprint(message: common.Fingerprint, field: str = "fingerprint") -> Fingerprint:
    """Return the fingerprint that a message holds. Raises InvalidField if it is of another version, or broken."""
    if message.version != NAME:
        raise InvalidField(f"{field}.version", f"must be {NAME!r}", message.version)
    parsed = Fingerprint(message.picture, message.keypoints)
    fingerprint_rules.check(field, parsed)
    return parsed
