"""Sessions that lose their client or their server in the middle, and what they tell before and after."""

from typing import Any

import grpc

from servers.asr.live import Limits
from tests.rpc.asr.conftest import Message, Response, Speech, Talk, chunks, is_final, pcm, resume
from tests.rpc.refusals import refusal

PATIENT = Limits(max_sessions=8, idle_s=10.0, parked_s=20.0, farewell_s=5.0, closing_s=0.05)

SAID = pcm((0.5, 0.0), (2.0, 0.5), (1.0, 0.0), (1.0, 0.5), (0.2, 0.0), (2.0, 0.5), (1.0, 0.0), (1.0, 0.5), (0.5, 0.0))
EXPECTED = [(0, "one two", 5, 25), (1, "one two three", 35, 67), (2, "one", 77, 87)]
"""Index, text, and tenths of seconds of the finals."""


def told_finals(*told: list[Response]) -> list[tuple[int, str, int, int]]:
    return [
        (r.final.final_index, r.final.text, round(r.final.start_ms / 100), round(r.final.end_ms / 100))
        for responses in told
        for r in responses
        if is_final(r)
    ]


def rest(data: bytes, from_ms: int, channels: int = 1) -> list[Message]:
    """What follows in PCM at 16 kHz."""
    return chunks(data[32 * channels * from_ms :], channels=channels)


async def cut_off(speech: Speech, messages: list[Message], first: Message | None = None, finals: int = 0) -> Talk:
    """A client that says all this, reads until it has so many finals, and vanishes."""
    talk = await speech.talk(first)
    await talk.say(*messages)
    if finals:
        await talk.until(lambda response: response.final.final_index == finals - 1 and is_final(response))
    talk.call.cancel()
    return talk


async def gone_on(speech: Speech, old: Talk, data: bytes, channels: int = 1) -> list[Response]:
    """All that is told when the session of `old` is resumed, and the rest is said."""
    had = [response for response in old.heard if is_final(response)]
    talk = await speech.talk(resume(old.started, len(had)))
    await talk.say(*rest(data, talk.started.replay_from_ms, channels))
    return await talk.until_end()


async def ended(talk: Talk) -> tuple[Any, str]:
    """How a stream ends that the server ends."""
    refused = await refusal(_all(talk))
    return refused.code, refused.reason


async def _all(talk: Talk) -> None:
    while (response := await talk.call.read()) is not grpc.aio.EOF:
        talk.heard.append(response)
