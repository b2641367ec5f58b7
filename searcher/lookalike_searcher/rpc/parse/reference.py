"""Where images are used: references, and what names images by them."""

from collections.abc import Sequence

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher import validation
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.images.image import Reference
from lookalike_searcher.images.writing import Names
from lookalike_searcher.rpc import page_token


def reference(message: wire.Reference) -> Reference:
    """Where an image is used."""
    labels = dict(message.labels)
    validation.labels("reference.labels", labels)
    return Reference(
        uri=validation.uri("reference.uri", message.uri),
        product=validation.product("reference.product", message.product),
        variant=validation.product("reference.variant", message.variant),
        staged=message.staged,
        labels=labels,
    )


def _references(messages: Sequence[wire.Reference]) -> list[Reference]:
    found = []
    for number, message in enumerate(messages):
        try:
            found.append(reference(message))
        except InvalidField as error:
            field = f"references[{number}]{error.field.removeprefix('reference')}"
            raise InvalidField(field, error.rule, error.value) from None
    return found


def possible(messages: Sequence[wire.Reference]) -> list[Reference | None]:
    """Several references; None for one that breaks a rule, and so cannot be stored."""
    validation.at_most("references", messages, validation.MAX_NAMED)
    found: list[Reference | None] = []
    for message in messages:
        try:
            found.append(reference(message))
        except InvalidField:
            found.append(None)
    return found


def hashes(request: wire.CheckImagesRequest) -> list[bytes]:
    """The hashes to look up."""
    validation.at_most("sha256s", request.sha256s, validation.MAX_HASHES)
    return [validation.sha256(value, f"sha256s[{number}]") for number, value in enumerate(request.sha256s)]


def names(request: wire.DeleteImagesRequest) -> Names:
    """What to delete."""
    count = len(request.uris) + len(request.products) + len(request.sha256s) + len(request.references)
    if not 1 <= count <= validation.MAX_NAMED:
        rule = f"together with products, sha256s and references, must be 1 to {validation.MAX_NAMED}"
        raise InvalidField("uris", rule, count)
    return Names(
        uris=[validation.uri(f"uris[{number}]", value) for number, value in enumerate(request.uris)],
        products=[validation.product(f"products[{n}]", value, least=1) for n, value in enumerate(request.products)],
        sha256s=[validation.sha256(value, f"sha256s[{number}]") for number, value in enumerate(request.sha256s)],
        references=[one.key for one in _references(request.references)],
    )


def after(
    request: wire.ListImagesRequest | wire.ListReferencesRequest | wire.ListFeedbackRequest,
) -> tuple[str, tuple[int, int] | None]:
    """What identifies the request in page tokens; and of the last one on the page before, its project's and own id."""
    asked = page_token.digest(request, "page_token", "page_size")
    if not request.page_token:
        return asked, None
    project_id, own_id = page_token.decode(request.page_token, asked, (int, int))
    return asked, (project_id, own_id)
