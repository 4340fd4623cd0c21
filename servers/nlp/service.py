"""TextService: translation between the contract and the domain, nothing else."""

from typing import Any, TypeAlias

import grpc
from ai2text.nlp.v1 import refinement_pb2, text_service_pb2, text_service_pb2_grpc

from servers.common import identity, lifecycle
from servers.nlp.draft import Edit, Step
from servers.nlp.refinement import Refiner, Request
from servers.nlp.workers import Workers

SCOPE = "speech"

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_STEPS = {
    refinement_pb2.REFINEMENT_STEP_DIACRITICS: Step.DIACRITICS,
    refinement_pb2.REFINEMENT_STEP_TONE_PLACEMENT: Step.TONE_PLACEMENT,
    refinement_pb2.REFINEMENT_STEP_NUMBERS: Step.NUMBERS,
    refinement_pb2.REFINEMENT_STEP_PUNCTUATION: Step.PUNCTUATION,
    refinement_pb2.REFINEMENT_STEP_CAPITALISATION: Step.CAPITALISATION,
}
_VALUES = {step: value for value, step in _STEPS.items()}


class TextService(text_service_pb2_grpc.TextServiceServicer):
    """See `text_service.proto`."""

    def __init__(self, refiner: Refiner, workers: Workers) -> None:
        self._refiner = refiner
        self._workers = workers

    async def Refine(
        self, request: text_service_pb2.RefineRequest, context: Context
    ) -> text_service_pb2.RefineResponse:
        """Refine one text."""
        identity.require(context, SCOPE)
        wanted = Request.checked(request.text, request.language_code, map(_STEPS.get, request.steps))
        refined = await self._workers.run(lambda: self._refiner.refined(wanted))
        return text_service_pb2.RefineResponse(
            text=refined.text,
            edits=map(_message, refined.edits),
            steps=[_VALUES[step] for step in refined.steps],
        )


def _message(edit: Edit) -> refinement_pb2.SpanEdit:
    return refinement_pb2.SpanEdit(
        step=_VALUES[edit.step], start=edit.start, end=edit.end, replacement=edit.replacement
    )


def mount(refiner: Refiner, workers: Workers) -> lifecycle.Mount:
    """Adds TextService to a server."""

    def add(server: grpc.aio.Server) -> str:
        text_service_pb2_grpc.add_TextServiceServicer_to_server(TextService(refiner, workers), server)
        return text_service_pb2.DESCRIPTOR.services_by_name["TextService"].full_name

    return add
