"""Parse the bytes of a request into its message. Limits come first, and refusals have our own words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from google.protobuf.message import DecodeError, Message

from lookalike_serving.errors import InvalidMessage
from lookalike_serving.message_fields import Malformed, TooLong, TooMany, check, shape_of

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

SMALL: Final = 16 * 1024
"""The default limit in bytes. Such a request holds a few names, the longest a URI of 2 KiB."""
_ANY_LENGTH: Final = 2**32
_UNCOUNTED: Final = 8 * 1024
"""Fields of smaller requests are not counted: 4,096 empty messages are parsed in 2 ms, into less than a megabyte."""


@dataclass(frozen=True)
class Limits:
    """These are the limits of one server's requests.

    Attributes:
        bytes: the most bytes of a request, by its method, `package.Service/Method`; None: as many as gRPC accepts.
            A method that is not named has SMALL.
        entries: the limit of each repeated field, by its full name; a field that is not named has a low default.
        longest: the most bytes of one text, list of numbers or unknown field, where `bytes` is None.
    """

    bytes: Mapping[str, int | None] = field(default_factory=dict)
    entries: Mapping[str, int] = field(default_factory=dict)
    longest: int = _ANY_LENGTH


class Parser:
    """The parser reads the requests of one method.

    Args:
        method: the name of the method, `package.Service/Method`.
        kind: the class of its requests.
        limits: the limits of the server's requests.

    Attributes:
        name: the name of the method, without that of its service.
        max_bytes: the most bytes of a request; None: as many as gRPC accepts.
        shape: the fields that a request may have.
    """

    def __init__(self, method: str, kind: type[Message], limits: Limits) -> None:
        self.name = method.rpartition("/")[2]
        self._parse: Callable[[bytes], Message] = kind.FromString
        self.max_bytes = limits.bytes.get(method, SMALL)
        self.shape = shape_of(cast("Descriptor", kind.DESCRIPTOR), limits.entries)
        self._longest = limits.longest if self.max_bytes is None else _ANY_LENGTH

    def __call__(self, data: bytes) -> Any:  # noqa: ANN401 - the method's request
        """Return the request that these bytes hold. Raises InvalidMessage."""
        if self.max_bytes is not None and len(data) > self.max_bytes:
            raise InvalidMessage.too_large(self.name, self.max_bytes, len(data))
        try:
            if len(data) > _UNCOUNTED:
                check(data, self.shape, self._longest)
            return self._parse(data)
        except TooMany:
            raise InvalidMessage.too_many_entries(self.name, self.shape.all) from None
        except TooLong as error:
            raise InvalidMessage.field_too_long(self.name, self._longest, error.size) from None
        except (Malformed, DecodeError):
            raise InvalidMessage.unparsable(self.name) from None
