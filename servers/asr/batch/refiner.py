"""The nlp server as the Refiner of the domain: whatever it does not answer stays as it is."""

import asyncio

import grpc
import structlog
from ai2text.nlp.v1 import refinement_pb2, text_service_pb2, text_service_pb2_grpc
from opentelemetry import metrics

from servers.common.identity import Caller

log = structlog.get_logger(__name__)

_METER = metrics.get_meter("ai2text")
REFINED = _METER.create_counter("ai2text.batch.refined", description="Texts, by what became of them.")

CALLER = Caller("ai2text", "batch", frozenset({"speech"}))
"""nlp keeps nothing of anybody, so it need not know whose text it is."""
WITHIN = (
    refinement_pb2.REFINEMENT_STEP_DIACRITICS,
    refinement_pb2.REFINEMENT_STEP_TONE_PLACEMENT,
    refinement_pb2.REFINEMENT_STEP_NUMBERS,
)
"""For a piece of a sentence, which has neither the sentence's capital nor its full stop."""
REST_S = 5.0
"""After a call that failed, so long nobody asks again: each would wait for nothing."""


class RemoteRefiner:
    """A Refiner."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        self._texts = text_service_pb2_grpc.TextServiceStub(channel)
        self._timeout_s = timeout_s
        self._rests_until = 0.0

    async def refine(self, text: str, language: str, whole: bool) -> str:
        """See Refiner."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._rests_until:
            REFINED.add(1, {"outcome": "skipped"})
            return text
        request = text_service_pb2.RefineRequest(text=text, language_code=language, steps=() if whole else WITHIN)
        try:
            answer = await self._texts.Refine(request, timeout=self._timeout_s, metadata=CALLER.metadata())
        except grpc.aio.AioRpcError as error:
            REFINED.add(1, {"outcome": "failed"})
            log.warning("text not refined", code=error.code().name, why=error.details())
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                self._rests_until = loop.time() + REST_S
            return text
        REFINED.add(1, {"outcome": "changed" if answer.text != text else "same"})
        return answer.text.strip() or text
