"""Whisper on Triton, the instance that decodes many clips at once when live speech leaves it time."""

import asyncio

import grpc

from servers.asr import whisper
from servers.asr.recognition import Hypothesis, Request
from servers.common.errors import DependencyUnavailable
from servers.common.triton import TritonModel


class ModelFailed(RuntimeError):
    """To try it for ever would hold up everything behind it: such tries count."""


class BatchWhisper:
    """A Recognizer. At most `at_once` requests are on their way; those that are there together are decoded together."""

    def __init__(self, channel: grpc.aio.Channel, beam: int, at_once: int, timeout_s: float) -> None:
        self._model = TritonModel(channel, "whisper-batch")
        self._beam = beam
        self._slots = asyncio.Semaphore(at_once)
        self._timeout_s = timeout_s

    async def check(self) -> None:
        """See Recognizer."""
        await self._model.check()

    async def recognize(self, request: Request) -> Hypothesis:
        """See Recognizer. ModelFailed when the model is there but cannot do it: perhaps it never can."""
        async with self._slots:
            try:
                outputs = await self._model.infer(whisper.inputs(request, self._beam), self._timeout_s)
            except DependencyUnavailable as error:
                cause = error.__cause__
                if isinstance(cause, grpc.aio.AioRpcError) and cause.code() is grpc.StatusCode.INTERNAL:
                    raise ModelFailed("the speech model failed") from error
                raise
        return whisper.hypothesis(outputs)
