"""What the cases stand on: tenants of their own, and things of every kind that these tenants have."""

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
from ai2text.admin.v1 import dead_letter_service_pb2 as dead
from ai2text.admin.v1.dead_letter_service_pb2_grpc import DeadLetterServiceStub
from ai2text.asr.v1 import live_session_service_pb2 as live
from ai2text.asr.v1.live_session_service_pb2_grpc import LiveSessionServiceStub
from ai2text.ingestion.v1 import ingestion_service_pb2 as ingestion
from ai2text.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceStub
from ai2text.metadata.v1 import recording_service_pb2 as recordings
from ai2text.metadata.v1 import transcript_service_pb2 as transcripts
from ai2text.metadata.v1.recording_service_pb2_grpc import RecordingServiceStub
from ai2text.metadata.v1.transcript_service_pb2_grpc import TranscriptServiceStub
from ai2text.search.v1 import search_service_pb2 as search
from ai2text.search.v1.search_service_pb2_grpc import SearchServiceStub
from google.longrunning import operations_pb2, operations_pb2_grpc

from bench.fuzz import requests
from bench.fuzz.calls import Headers, Sender
from mesh.keys import Keys

DEADLINE_S = 20.0
SESSION_HEADERS = ("x-ai2text-server", "x-ai2text-version")
TRIES = 30
MOST_BYTES = 64 << 20

Made = dict[str, str | Callable[[], str]]


@dataclass
class Ground:
    """The edge as two tenants see it. `refresh` makes anew what cases have removed."""

    channel: grpc.Channel
    http: httpx.Client
    tenant: str
    tokens: Mapping[str, Headers]
    names: Made = field(default_factory=lambda: {"<new>": lambda: str(uuid.uuid4())})
    session_headers: Headers = ()

    @classmethod
    @contextmanager
    def standing(cls, target: str, keys: Keys) -> Iterator["Ground"]:
        """New tenants on the mesh behind `target`; what they have is removed at the end of the block."""
        tenant = f"fuzz-{uuid.uuid4().hex[:12]}"
        options = [("grpc.max_receive_message_length", MOST_BYTES), ("grpc.max_send_message_length", MOST_BYTES)]
        with ExitStack() as stack:
            channel = stack.enter_context(grpc.insecure_channel(target, options))
            http = stack.enter_context(httpx.Client(base_url=f"http://{target}"))
            ground = cls(channel, http, tenant, tokens(keys, tenant))
            stack.callback(ground.clear)
            yield ground

    def sender(self) -> Sender:
        """To send cases with."""
        return Sender(self.channel, self.http, self.tokens, self.names, self.session_headers, self.tenant)

    def refresh(self) -> None:
        """See that what the names stand for is there."""
        self._recording()
        self._upload()
        self._session()
        self._pages()

    def _call(self, method: Any, request: Any) -> Any:
        return _patiently(lambda: method(request, metadata=self.tokens["good"], timeout=DEADLINE_S))

    def _recording(self) -> None:
        made = self._call(RecordingServiceStub(self.channel).CreateRecording, requests.live_recording()).recording
        stub = TranscriptServiceStub(self.channel)
        asked = transcripts.CreateTranscriptRequest(recording_id=made.recording_id, model="by hand")
        transcript = self._call(stub.CreateTranscript, asked).transcript
        self._call(stub.AppendSegments, requests.segments(transcript.transcript_id))
        self.names |= {
            "<recording>": made.recording_id, "<transcript>": transcript.transcript_id, "<etag>": made.etag
        }  # fmt: skip

    def _upload(self) -> None:
        stub = IngestionServiceStub(self.channel)
        file = requests.upload_file(str(uuid.uuid4()))
        sent = [ingestion.UploadRecordingRequest(file=file), ingestion.UploadRecordingRequest(chunk=requests.WAV)]
        # A list anew for each try; the request_id makes them one upload.
        done = self._call(lambda messages, **how: stub.UploadRecording(iter(messages), **how), sent)
        file.request_id = str(uuid.uuid4())
        begun = self._call(stub.CreateUpload, ingestion.CreateUploadRequest(file=file))
        for part in begun.parts:
            end = part.offset_bytes + part.size_bytes
            httpx.put(part.url, content=requests.WAV[part.offset_bytes : end], timeout=DEADLINE_S).raise_for_status()
        self.names |= {
            "<file>": done.recording.recording_id, "<operation>": done.operation, "<upload>": begun.upload_id,
            "<key>": done.recording.object.key,
        }  # fmt: skip

    def _session(self) -> None:
        """A live session; a server whose sessions of earlier cases still wait to be resumed is asked again."""
        open_session = LiveSessionServiceStub(self.channel).OpenSession.with_call
        answer, call = self._call(open_session, live.OpenSessionRequest(config=requests.config()))
        self.names |= {"<session>": answer.session.session_id, "<secret>": answer.session.resume_token}
        self.session_headers = tuple((key, text) for key, text in call.initial_metadata() if key in SESSION_HEADERS)

    def _pages(self) -> None:
        """Tokens of second pages, where there are such."""
        first = self._call(
            RecordingServiceStub(self.channel).ListRecordings, recordings.ListRecordingsRequest(page_size=1)
        )
        asked = transcripts.ListSegmentsRequest(transcript_id=str(self.names["<transcript>"]), page_size=1)
        segments = self._call(TranscriptServiceStub(self.channel).ListSegments, asked)
        stub = operations_pb2_grpc.OperationsStub(self.channel)
        operations = self._call(
            stub.ListOperations, operations_pb2.ListOperationsRequest(name="operations", page_size=1)
        )
        letters = self._call(
            DeadLetterServiceStub(self.channel).ListDeadLetters, dead.ListDeadLettersRequest(page_size=1)
        )
        own = self._call(
            DeadLetterServiceStub(self.channel).ListDeadLetters, dead.ListDeadLettersRequest(tenant=self.tenant)
        )
        found = self._call(SearchServiceStub(self.channel).Search, search.SearchRequest(query="một hai", limit=1))
        self.names |= {
            "<search page>": found.next_page_token,
            "<recordings page>": first.next_page_token,
            "<segments page>": segments.next_page_token,
            "<operations page>": operations.next_page_token,
            "<letters page>": letters.next_page_token,
            "<letter>": own.dead_letters[0].dead_letter_id if own.dead_letters else "",
        }

    def clear(self) -> None:
        """Remove the recordings of both tenants, and their dead letters."""
        stub = RecordingServiceStub(self.channel)
        for caller in ("good", "stranger"):
            while True:
                page = stub.ListRecordings(
                    recordings.ListRecordingsRequest(page_size=1000), metadata=self.tokens[caller], timeout=DEADLINE_S
                )
                for one in page.recordings:
                    asked = recordings.DeleteRecordingRequest(recording_id=one.recording_id)
                    stub.DeleteRecording(asked, metadata=self.tokens[caller], timeout=DEADLINE_S)
                if not page.recordings:
                    break
        for tenant in (self.tenant, f"{self.tenant}-2"):
            selection = dead.DeadLetterSelection(tenant=tenant)
            asked_for = dead.DiscardDeadLettersRequest(selection=selection)
            self._call(DeadLetterServiceStub(self.channel).DiscardDeadLetters, asked_for)


def _patiently(call: Callable[[], Any]) -> Any:
    """What the call answers in the end: a server may have too much to do, or be coming back."""
    for _ in range(TRIES):
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE):
                raise
        time.sleep(1)
    return call()


def tokens(keys: Keys, tenant: str) -> dict[str, Headers]:
    """The headers of each kind of caller."""
    good = keys.mint("fuzz", tenant)
    written = {
        "good": good,
        "stranger": keys.mint("fuzz", f"{tenant}-2"),
        "powerless": keys.mint("fuzz", tenant, scopes=("nothing",)),
        "expired": keys.mint("fuzz", tenant, ttl=-3600),
        "forged": f"{good[:-12]}{hashlib.sha256(good.encode()).hexdigest()[:12]}",
        "odd": keys.mint("thuê bao\t1", f"{tenant}-2"),
    }
    return {"none": (), **{name: (("authorization", f"Bearer {token}"),) for name, token in written.items()}}
