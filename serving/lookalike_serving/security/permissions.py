"""What each RPC asks of its caller: the one table."""

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
    return (one.project for one in request.requests)


Projects = Callable[[Any], Iterable[str]] | None


@dataclass(frozen=True)
class Permission:
    """What one RPC asks.

    Attributes:
        scopes: one of which the caller needs.
        projects: tells the projects that a request names, each of which must be his; None: it names none. An empty
            name is no project's, and is left to whoever checks the request.
        audited: whether each call is written down, not only those that are refused.
    """

    scopes: frozenset[str]
    projects: Projects = None
    audited: bool = False


_USE: Final = Permission(frozenset({READ, WRITE}))  # who indexes embeds too, and who searches
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
    f"{SEARCHER}/ExportVectors": _reading(),
    f"{SEARCHER}/CreateSpace": _administering(),
    f"{SEARCHER}/CompareSpaces": _reading(),
    f"{SEARCHER}/CutOverSpace": _administering(),
    f"{SEARCHER}/DeleteSpace": _administering(),
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _ANY,
}
"""By `package.Service/Method`."""

NOBODYS: Final = Permission(frozenset())
"""What is not in the table is refused to everybody who has to say who he is."""

OPEN: Final = frozenset({"grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch", "grpc.health.v1.Health/List"})
"""What probes ask, who have no token."""
