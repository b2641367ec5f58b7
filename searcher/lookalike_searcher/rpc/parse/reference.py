"""Parse references, and requests that name images by them."""

from collections.abc import Sequence

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher import validation
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.images.image import Reference
from lookalike_searcher.images.writing import Names
from lookalike_searcher.rpc import page_token


def reference(message: wire.Reference) -> Reference:
    """Return the reference that a message holds. Raises InvalidField if it breaks a rule."""
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
    references = []
    for number, message in enumerate(messages):
        try:
            references.append(reference(message))
        except InvalidField as error:
            field = f"references[{number}]{error.field.removeprefix('reference')}"
            raise InvalidField(field, error.rule, error.value) from None
    return references


def possible(messages: Sequence[wire.Reference]) -> list[Reference | None]:
    """Return the references, with None for each that breaks a rule, and so cannot be stored."""
    validation.at_most("references", messages, validation.MAX_NAMED)
    references: list[Reference | None] = []
    for message in messages:
        try:
            references.append(reference(message))
        except InvalidField:
            references.append(None)
    return references


def hashes(request: wire.CheckImagesRequest) -> list[bytes]:
    """Return the hashes to look up. Raises InvalidField."""
    validation.at_most("sha256s", request.sha256s, validation.MAX_HASHES)
    return [validation.sha256(value, f"sha256s[{number}]") for number, value in enumerate(request.sha256s)]


def names(request: wire.DeleteImagesRequest) -> Names:
    """Return the names of what is to be deleted. Raises InvalidField."""
    count = len(request.uris) + len(request.products) + len(request.sha256s) + len(request.references)
    if not 1 <= count <= validation.MAX_NAMED:
        rule = f"together with products, sha256s and references, must be 1 to {validation.MAX_NAMED}"
        raise InvalidField("uris", rule, count)
    return Names(
        uris=[validation.uri(f"uris[{number}]", value) for number, value in enumerate(request.uris)],
        products=[validation.product(f"products[{n}]", value, minimum=1) for n, value in enumerate(request.products)],
        sha256s=[validation.sha256(value, f"sha256s[{number}]") for number, value in enumerate(request.sha256s)],
        references=[item.key for item in _references(request.references)],
    )


def after(
    request: wire.ListImagesRequest
    | wire.ListReferencesRequest
    | wire.ListFeedbackRequest
    | wire.ListDismissalsRequest,
) -> tuple[str, tuple[int, int] | None]:
    """Return the request's digest for page tokens, and the ids of the project and of the last item before."""
    request_digest = page_token.digest(request, "page_token", "page_size")
    if not request.page_token:
        return request_digest, None
    project_id, own_id = page_token.decode(request.page_token, request_digest, (int, int))
    return request_digest, (project_id, own_id)
