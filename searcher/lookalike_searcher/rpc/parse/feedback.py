"""Parse feedback on the hits of searches."""

from datetime import UTC, datetime

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher import validation
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.feedback.feedback import Judged, Verdict
from lookalike_searcher.rpc.parse import vector
from lookalike_searcher.search import search_id
from lookalike_searcher.search.search_id import SearchId


def feedback(request: wire.RecordFeedbackRequest) -> list[Judged]:
    """Return the searches with their verdicts, each search once. Of two verdicts on a hit, the later one counts."""
    validation.at_most("searches", request.searches, validation.MAX_JUDGED, minimum=1)
    count = sum(len(search.verdicts) for search in request.searches)
    if count > validation.MAX_NAMED:
        raise InvalidField("searches", f"must hold at most {validation.MAX_NAMED} verdicts in all", count)
    by_search: dict[SearchId, Judged] = {}
    for number, message in enumerate(request.searches):
        field = f"searches[{number}]"
        search = search_id.parse(message.search_id, f"{field}.search_id")
        judged = by_search.setdefault(search, Judged(search))
        _judge(judged, message, field)
    return list(by_search.values())


def _judge(judged: Judged, message: wire.SearchFeedback, where: str) -> None:
    """Add the content of a message to the search's feedback."""
    if message.query_sha256 and message.query_uri:
        raise InvalidField(f"{where}.query_uri", "must be left out with query_sha256", message.query_uri)
    if message.query_sha256:
        judged.sha256, judged.uri = validation.sha256(message.query_sha256, f"{where}.query_sha256"), ""
    if message.query_uri:
        judged.sha256, judged.uri = b"", validation.uri(f"{where}.query_uri", message.query_uri)
    if message.HasField("query_embedding"):
        judged.embedding = vector.embedding(message.query_embedding, f"{where}.query_embedding")
    validation.at_most(f"{where}.verdicts", message.verdicts, validation.MAX_VERDICTS, minimum=1)
    for number, verdict in enumerate(message.verdicts):
        field = f"{where}.verdicts[{number}]"
        sha256 = validation.sha256(verdict.sha256, f"{field}.sha256")
        judged.verdicts[sha256] = _verdict(verdict, field).after(judged.verdicts.get(sha256))


def _verdict(message: wire.HitVerdict, field: str) -> Verdict:
    rank = int(validation.between(f"{field}.rank", message.rank, 1, validation.MAX_RANK))
    match message.verdict:
        case wire.VERDICT_RIGHT | wire.VERDICT_WRONG:
            return Verdict(rank, right=message.verdict == wire.VERDICT_RIGHT)
        case wire.VERDICT_CLICKED:
            return Verdict(rank, clicked=True)
        case _:
            raise InvalidField(f"{field}.verdict", "must be RIGHT, WRONG or CLICKED", message.verdict)


def deleted_feedback(request: wire.DeleteFeedbackRequest) -> tuple[list[SearchId], datetime | None]:
    """Return the searches whose feedback is to be deleted, and the time before which all is."""
    by_time = request.HasField("search_time_before")
    validation.at_most("search_ids", request.search_ids, validation.MAX_NAMED, minimum=0 if by_time else 1)
    named = [search_id.parse(value, f"search_ids[{number}]") for number, value in enumerate(request.search_ids)]
    if not by_time:
        return named, None
    try:
        return named, request.search_time_before.ToDatetime(UTC)
    except (ValueError, OverflowError):
        seconds = request.search_time_before.seconds
        raise InvalidField("search_time_before", "must be a time of the years 1 to 9999", seconds) from None
