"""`ai2text capabilities`: what the speech server accepts."""

import json
from typing import Any

import typer
from ai2text.asr.v1 import audio_pb2, speech_service_pb2
from ai2text.asr.v1.speech_service_pb2_grpc import SpeechServiceStub

from clients.cli import running, terminal
from clients.cli.commands.options import AsJson
from clients.cli.connection import Connection


def capabilities(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the speech model, its languages and the limits."""

    async def ask(connection: Connection) -> speech_service_pb2.GetCapabilitiesResponse:
        stub = SpeechServiceStub(connection.channel)
        return await connection.call(stub.GetCapabilities, speech_service_pb2.GetCapabilitiesRequest())

    answer = running.connected_run(running.setup_of(context), "ai2text capabilities", ask)
    record = _record(answer)
    if as_json:
        print(json.dumps(record, ensure_ascii=False))
        return
    for name, value in record.items():
        shown = ", ".join(value) if isinstance(value, list) else str(value)
        terminal.output().print(f"[dim]{name.replace('_', ' '):>20}[/]  {shown}", soft_wrap=True)


def _record(answer: speech_service_pb2.GetCapabilitiesResponse) -> dict[str, Any]:
    prefix = "AUDIO_ENCODING_"
    return {
        "model": answer.model,
        "languages": list(answer.language_codes),
        "encodings": [audio_pb2.AudioEncoding.Name(value).removeprefix(prefix) for value in answer.encodings],
        "min_sample_rate_hz": answer.min_sample_rate_hz,
        "max_sample_rate_hz": answer.max_sample_rate_hz,
        "max_audio_bytes": answer.max_audio_bytes,
        "max_audio_s": answer.max_audio_duration.ToTimedelta().total_seconds(),
        "max_chunk_bytes": answer.max_chunk_bytes,
        "max_channels": answer.max_channels,
        "pause_ms": answer.endpointing.pause.ToMilliseconds(),
        "silence_ms": answer.endpointing.silence.ToMilliseconds(),
        "long_utterance_silence_ms": answer.endpointing.long_utterance_silence.ToMilliseconds(),
        "max_utterance_ms": answer.endpointing.max_utterance.ToMilliseconds(),
        "start_probability": round(answer.endpointing.start_probability, 3),
        "stop_probability": round(answer.endpointing.stop_probability, 3),
        "server_version": answer.server_version,
    }
