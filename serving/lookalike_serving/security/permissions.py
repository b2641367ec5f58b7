"""List in one table what each RPC requires of its caller."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lookalike._transport.channel import EMBEDDER, SEARCHER
from lookalike.constants import ADMIN, READ, SCOPES, WRITE


def _name(request: Any) -> Iterable[str]:  # noqa: ANN401 - any request
    return (request.name,)


def _project(request: Any) -> Iterable[str]:  # noqa: ANN401
    return (request.project,)


def _of_each(request: Any) -> Iterable[str]:  # noqa: ANN401
    return (entry.project for entry in request.requests)


Projects = Callable[[Any], Iterable[str]] | None


@dataclass(frozen=True)
class Permission:
    """A permission is what one RPC requires of its caller.

    Attributes:
        scopes: the caller needs one of these.
        projects: returns the names of the projects that a request names, all of which the caller must be allowed to
            use; None: requests name none. An empty name is not checked here: the RPC itself refuses it.
        audited: whether each call is written to the audit log, not only refused ones.
    """

    scopes: frozenset[str]
    projects: Projects = None
    audited: bool = False


_USE: Final = Permission(frozenset({READ, WRITE}))  # those who index or search need embeddings, too
_ANY: Final = Permission(SCOPES)


def _reading(projects: Projects = _project) -> Permission:
    return Permission(frozenset({READ}), projects)


def _writing() -> Permission:
    return Permission(frozenset({WRITE}), _project, audited=True)


def _administering(projects: Projects = _project) -> Permission:
    return Permission(frozenset({ADMIN}), projects, audited=True)


PERMISSIONS: Final[Mapping[str, Permission]] = {
    f"{EMBEDDER}/GetModel": _ANY,
    f"{EMBEDDER}/Embed": _USE,
    f"{EMBEDDER}/EmbedText": _USE,
    f"{EMBEDDER}/EmbedStream": _USE,
    f"{SEARCHER}/CreateProject": _administering(_name),
    f"{SEARCHER}/GetProject": _reading(_name),
    f"{SEARCHER}/ListProjects": _reading(None),  # shows the caller's own
    f"{SEARCHER}/UpdateProject": _administering(_name),
    f"{SEARCHER}/DeleteProject": _administering(_name),
    f"{SEARCHER}/IndexImages": _writing(),
    f"{SEARCHER}/SyncProduct": _writing(),
    f"{SEARCHER}/DeleteImages": _writing(),
    f"{SEARCHER}/CheckImages": _reading(),
    f"{SEARCHER}/CheckReferences": _reading(),
    f"{SEARCHER}/ListReferences": _reading(),
    f"{SEARCHER}/GetImage": _reading(),
    f"{SEARCHER}/ListImages": _reading(),
    f"{SEARCHER}/Search": _reading(),
    f"{SEARCHER}/SearchBatch": _reading(_of_each),
    f"{SEARCHER}/RecordFeedback": _writing(),
    f"{SEARCHER}/ListFeedback": _reading(),
    f"{SEARCHER}/DeleteFeedback": _writing(),
    f"{SEARCHER}/GetSearchQuality": _reading(),
    f"{SEARCHER}/FindDuplicates": _reading(),
    f"{SEARCHER}/MergeDuplicates": _writing(),
    f"{SEARCHER}/DismissDuplicates": _writing(),
    f"{SEARCHER}/ListDismissals": _reading(),
    f"{SEARCHER}/DeleteDismissals": _writing(),
    f"{SEARCHER}/ExportVectors": _reading(),
    f"{SEARCHER}/CreateSpace": _administering(),
    f"{SEARCHER}/CompareSpaces": _reading(),
    f"{SEARCHER}/CutOverSpace": _administering(),
    f"{SEARCHER}/DeleteSpace": _administering(),
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _ANY,
}
"""The permission of each RPC, by `package.Service/Method`."""

NOBODYS: Final = Permission(frozenset())
"""The permission of an RPC that is not in the table: no caller has it, if callers need a token or certificate."""

OPEN: Final = frozenset({"grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch", "grpc.health.v1.Health/List"})
"""Probes call these methods, and have no token."""
