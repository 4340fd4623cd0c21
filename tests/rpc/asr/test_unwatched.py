"""A pushed session that nobody watches is held back; when it fails then, its client learns why."""

import pytest
from ai2text.asr.v1 import speech_service_pb2

from servers.asr.live import Limits
from servers.asr.news import MAX_FINALS
from tests.rpc.asr.conftest import Speech, pcm
from tests.rpc.asr.pushes import opened, push
from tests.rpc.refusals import refusal

UTTERANCE = pcm((1.0, 0.5), (0.5, 0.0))
BEYOND = MAX_FINALS + 2
"""Finals that are made, of which the last ones find no place."""


@pytest.mark.parametrize("limits", [Limits(leave_s=0.05, parked_s=0.1, farewell_s=0.2, closing_s=0.05)])
async def test_the_next_push_is_told_why_the_session_has_failed(speech: Speech) -> None:
    session = await opened(speech)
    for sequence in range(BEYOND):
        await push(speech, session, sequence, audio=UTTERANCE)
    while (await push(speech, session, 0, audio=b"")).cursors.final_index < BEYOND:
        pass
    speech.recognizer.away = True
    await push(speech, session, BEYOND, audio=UTTERANCE)

    async def until_refused() -> None:
        while True:
            await push(speech, session, 0, keepalive=speech_service_pb2.Keepalive())

    refused = await refusal(until_refused())
    assert (refused.reason, refused.metadata) == ("DEPENDENCY_UNAVAILABLE", {"dependency": "triton"})
