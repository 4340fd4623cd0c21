"""The nouns of the contract and those of the domain, translated into each other."""

from collections.abc import Sequence

from ai2text.search.v1 import explanation_pb2, hit_pb2, search_service_pb2
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from servers.common.errors import FieldInvalid
from servers.search import ranking
from servers.search.candidates import Status
from servers.search.explaining import Explanation
from servers.search.question import Draft, check_count
from servers.search.searching import Found, Hit
from servers.search.snippets import Snippet

_STATUSES = {
    Status.READY: search_service_pb2.INDEX_STATUS_READY,
    Status.BUILDING: search_service_pb2.INDEX_STATUS_BUILDING,
    Status.WORDS_ONLY: search_service_pb2.INDEX_STATUS_WORDS_ONLY,
}
_EARLIEST_S, _LATEST_S = -62_135_596_800, 253_402_300_799
"""The years 1 to 9999, which is what a Timestamp may say."""


def draft(request: search_service_pb2.SearchRequest) -> Draft:
    """A request as given; only times are checked yet: FieldInvalid."""
    narrowed = request.filter
    after, before = ("recorded_after", "recorded_before")
    return Draft(
        request.query,
        request.limit,
        request.recording_ids,
        request.language_code,
        request.page_token,
        narrowed.labels,
        _microseconds(f"filter.{after}", narrowed.recorded_after) if narrowed.HasField(after) else None,
        _microseconds(f"filter.{before}", narrowed.recorded_before) if narrowed.HasField(before) else None,
        narrowed.start_ms,
        narrowed.end_ms,
        request.group_by_recording,
        request.hits_per_recording,
        request.explain,
        request.rerank,
        narrowed.channels,
    )


def asked(request: search_service_pb2.SearchRequest) -> bytes:
    """The same for requests that have the same answer; whether it is to be explained does not count."""
    plain = search_service_pb2.SearchRequest()
    plain.CopyFrom(request)
    plain.ClearField("explain")
    return plain.SerializeToString(deterministic=True)


def drafts(requests: Sequence[search_service_pb2.SearchRequest]) -> list[Draft]:
    """Those of a batch, unless they are too many; FieldInvalid names the field within its request."""
    check_count(len(requests))
    made = list[Draft]()
    for number, request in enumerate(requests):
        try:
            made.append(draft(request))
        except FieldInvalid as error:
            raise FieldInvalid(f"requests[{number}].{error.field}", error.problem) from error
    return made


def response(found: Found, by_recording: bool) -> search_service_pb2.SearchResponse:
    """An answer."""
    answer = search_service_pb2.SearchResponse(
        hits=() if by_recording else [_hit(hit, found.weights) for hit in found.hits],
        rankings=_rankings(found),
        next_page_token=found.next_token,
        groups=[_group(group, found.weights) for group in found.groups] if by_recording else (),
        index_status=_STATUSES[found.status],
    )
    if found.explanation:
        answer.explanation.CopyFrom(_explanation(found.explanation))
    return answer


def kept(answer: bytes | None) -> search_service_pb2.SearchResponse | None:
    """An answer that was kept; None when there is none, or it is damaged."""
    try:
        return None if answer is None else search_service_pb2.SearchResponse.FromString(answer)
    except DecodeError:
        return None


def _microseconds(field: str, time: Timestamp) -> int:
    """Since 1970; a part of one counts as a whole. FieldInvalid."""
    if not _EARLIEST_S <= time.seconds <= _LATEST_S or not 0 <= time.nanos < 1_000_000_000:
        raise FieldInvalid(field, "is no time of the years 1 to 9999")
    return time.seconds * 1_000_000 - (-time.nanos // 1_000)


def _rankings(found: Found) -> list[hit_pb2.Ranking]:
    took_part = (
        (found.semantic, hit_pb2.RANKING_SEMANTIC),
        (found.lexical, hit_pb2.RANKING_LEXICAL),
        (found.reranked, hit_pb2.RANKING_CLOSENESS),
    )
    return [ranking for took, ranking in took_part if took]


def _group(hits: Sequence[Hit], weights: ranking.Weights) -> hit_pb2.RecordingGroup:
    return hit_pb2.RecordingGroup(
        recording_id=hits[0].document.recording_id,
        score=hits[0].place.score,
        hits=[_hit(hit, weights) for hit in hits],
    )


def _hit(hit: Hit, weights: ranking.Weights) -> hit_pb2.Hit:
    message = hit_pb2.Hit(
        recording_id=hit.document.recording_id,
        transcript_id=hit.document.transcript_id,
        segment_id=hit.document.segment_id,
        start_ms=hit.document.start_ms,
        end_ms=hit.document.end_ms,
        snippet=_snippet(hit.snippet),
        score=hit.place.score,
        language_code=hit.document.language_code,
        semantic_rank=hit.place.semantic_rank,
        lexical_rank=hit.place.lexical_rank,
        channel=hit.document.channel,
    )
    if hit.matched:
        message.explanation.semantic_share = ranking.share(weights.semantic, hit.place.semantic_rank)
        message.explanation.lexical_share = ranking.share(weights.lexical, hit.place.lexical_rank)
        message.explanation.exact_words.extend(hit.matched.exact)
        message.explanation.folded_words.extend(hit.matched.folded)
        if hit.closeness is not None:
            message.explanation.closeness = hit.closeness
    return message


def _snippet(snippet: Snippet) -> hit_pb2.Snippet:
    highlights = (hit_pb2.Highlight(start=span.start, end=span.end) for span in snippet.highlights)
    return hit_pb2.Snippet(text=snippet.text, highlights=highlights)


def _explanation(found: Explanation) -> explanation_pb2.SearchExplanation:
    took_us = {f"{stage}_us": took for stage, took in found.took_us.items()}
    return explanation_pb2.SearchExplanation(
        semantic_weight=found.semantic_weight,
        lexical_weight=found.lexical_weight,
        word_coverage=found.coverage,
        semantic_candidates=found.semantic_candidates,
        lexical_candidates=found.lexical_candidates,
        lists_searched=found.lists,
        vectors_compared=found.compared,
        recordings_left=found.recordings_left,
        hurried=found.hurried,
        timings=explanation_pb2.SearchTimings(**took_us),
    )
