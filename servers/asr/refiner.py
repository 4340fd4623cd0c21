"""The nlp server as the Refiner of the domain: whatever it does not answer in time stays as it is."""

import asyncio
from collections import OrderedDict
from typing import NamedTuple

import grpc
import structlog
from ai2text.nlp.v1 import refinement_pb2, text_service_pb2, text_service_pb2_grpc
from opentelemetry import metrics

from servers.common import backoff
from servers.common.identity import Caller

log = structlog.get_logger(__name__)

_METER = metrics.get_meter("ai2text")
REFINED = _METER.create_counter("ai2text.asr.refined", description="Texts, by what became of them.")

CALLER = Caller("ai2text", "asr", frozenset({"speech"}))
"""nlp keeps nothing of anybody, so it need not know whose text it is."""
WITHIN = (
    refinement_pb2.REFINEMENT_STEP_DIACRITICS,
    refinement_pb2.REFINEMENT_STEP_TONE_PLACEMENT,
    refinement_pb2.REFINEMENT_STEP_NUMBERS,
)
"""For a piece of a sentence, which has neither the sentence's capital nor its full stop."""
AT_ONCE = 8
"""Texts that nlp is given at the same time."""
MOST_ASKED = 128
"""Texts that may wait for it, those included; more stay as they are."""
FIRST_REST_S = 0.5
LONGEST_REST_S = 5.0
"""After a call that failed nobody asks again for a while, that grows with each failure in a row: each would wait for
nothing."""
KNOWN = 2048
"""Answers that are kept, the newest. The same text is wanted twice, to be told and to be stored, which may be late."""


class _Question(NamedTuple):
    text: str
    language: str
    whole: bool


class RemoteRefiner:
    """A Refiner."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        """`timeout_s` is how long one text may take, its wait for others included."""
        self._texts = text_service_pb2_grpc.TextServiceStub(channel)
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._known: OrderedDict[_Question, str] = OrderedDict()
        self._asked: dict[_Question, asyncio.Task[str]] = {}
        self._rests_until = 0.0
        self._rests = backoff.delays(FIRST_REST_S, LONGEST_REST_S)

    async def refine(self, text: str, language: str, whole: bool) -> str:
        """See Refiner."""
        question = _Question(text, language, whole)
        if question in self._known:
            self._known.move_to_end(question)
            return self._known[question]
        if question not in self._asked:
            if self._is_resting() or len(self._asked) >= MOST_ASKED:
                REFINED.add(1, {"outcome": "skipped"})
                return text
            self._asked[question] = asyncio.create_task(self._ask(question))
            self._asked[question].add_done_callback(lambda _: self._asked.pop(question))
        return await asyncio.shield(self._asked[question])

    async def _ask(self, question: _Question) -> str:
        text, language, whole = question
        request = text_service_pb2.RefineRequest(text=text, language_code=language, steps=() if whole else WITHIN)
        try:
            async with asyncio.timeout(self._timeout_s), self._slots:
                if self._is_resting():  # a call failed while this one waited for its turn
                    REFINED.add(1, {"outcome": "skipped"})
                    return text
                answer = await self._texts.Refine(request, timeout=self._timeout_s, metadata=CALLER.metadata())
        except (grpc.aio.AioRpcError, TimeoutError) as error:
            self._note(error)
            return text
        REFINED.add(1, {"outcome": "changed" if answer.text != text else "same"})
        self._rests = backoff.delays(FIRST_REST_S, LONGEST_REST_S)
        self._known[question] = answer.text.strip() or text
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return self._known[question]

    def _note(self, error: Exception) -> None:
        """A call failed: leave nlp in peace for a while, unless it is the text that is at fault."""
        REFINED.add(1, {"outcome": "failed"})
        code = error.code() if isinstance(error, grpc.aio.AioRpcError) else grpc.StatusCode.DEADLINE_EXCEEDED
        if code is grpc.StatusCode.INVALID_ARGUMENT:
            log.warning("text not refined", code=code.name)
        elif not self._is_resting():
            rest_s = next(self._rests)
            self._rests_until = asyncio.get_running_loop().time() + rest_s
            log.warning("texts not refined", code=code.name, rest_s=round(rest_s, 2))

    def _is_resting(self) -> bool:
        return asyncio.get_running_loop().time() < self._rests_until
