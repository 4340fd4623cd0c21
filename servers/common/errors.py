"""Expected errors. Raised anywhere, translated to a gRPC status in exactly one place (`servers.common.status`).

The reason of an error names a value of the proto enum `ai2text.common.v1.ErrorReason` without its prefix.
"""

from collections.abc import Mapping


class Ai2TextError(Exception):
    """Base of every expected error. Its message is shown to the caller, so it must not carry a foreign error's text."""

    reason = "INTERNAL"
    retry_after_s: float | None = None
    """Seconds after which a retry makes sense; None when a retry does not help."""

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.metadata: Mapping[str, str] = metadata


class InvalidInput(Ai2TextError):
    """The request is wrong whatever the state of the system."""

    reason = "FIELD_INVALID"


class FieldInvalid(InvalidInput):
    """A field of the request is missing or malformed."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}", field=field)
        self.field = field
        self.problem = problem


class ConfigOutOfOrder(InvalidInput):
    reason = "CONFIG_OUT_OF_ORDER"


class EncodingUnsupported(InvalidInput):
    reason = "ENCODING_UNSUPPORTED"


class AudioUndecodable(InvalidInput):
    reason = "AUDIO_UNDECODABLE"


class AudioTooLarge(InvalidInput):
    reason = "AUDIO_TOO_LARGE"


class LanguageUnsupported(InvalidInput):
    reason = "LANGUAGE_UNSUPPORTED"


class PageTokenInvalid(InvalidInput):
    reason = "PAGE_TOKEN_INVALID"


class TextTooLong(InvalidInput):
    reason = "TEXT_TOO_LONG"


class IdentityMissing(Ai2TextError):
    """The call carries no identity that the edge has checked."""

    reason = "IDENTITY_MISSING"


class ScopeMissing(Ai2TextError):
    """The caller is known but may not do this."""

    reason = "SCOPE_MISSING"


class NotFound(Ai2TextError):
    """The named thing does not exist for this tenant."""


class RecordingNotFound(NotFound):
    reason = "RECORDING_NOT_FOUND"


class TranscriptNotFound(NotFound):
    reason = "TRANSCRIPT_NOT_FOUND"


class SessionNotFound(NotFound):
    reason = "SESSION_NOT_FOUND"


class UploadNotFound(NotFound):
    reason = "UPLOAD_NOT_FOUND"


class OperationNotFound(NotFound):
    reason = "OPERATION_NOT_FOUND"


class DeadLetterNotFound(NotFound):
    reason = "DEAD_LETTER_NOT_FOUND"


class EtagMismatch(Ai2TextError):
    """Somebody has changed it since the caller read it."""

    reason = "ETAG_MISMATCH"


class ChecksumMismatch(Ai2TextError):
    """Bytes are not those that were announced. Metadata: `checksum`, `expected`, `actual`."""

    reason = "CHECKSUM_MISMATCH"


class UploadIncomplete(Ai2TextError):
    """Parts are not there yet. Metadata: `missing_parts`."""

    reason = "UPLOAD_INCOMPLETE"


class OperationRunning(Ai2TextError):
    """It is not done yet. Metadata: `name`."""

    reason = "OPERATION_RUNNING"


class RecordingWithoutFile(Ai2TextError):
    """There is nothing to transcribe, or to download. Metadata: `recording_id`."""

    reason = "RECORDING_WITHOUT_FILE"


class TooManyTranscripts(Ai2TextError):
    """A recording has as many as it may have. Metadata: `recording_id`, `limit`."""

    reason = "TOO_MANY_TRANSCRIPTS"


class SessionTakenOver(Ai2TextError):
    """The session goes on over another connection."""

    reason = "SESSION_TAKEN_OVER"


class SequenceGap(Ai2TextError):
    """A piece of audio does not follow those before it. Metadata: `next_sequence`."""

    reason = "SEQUENCE_GAP"


class FinalsForgotten(Ai2TextError):
    """Finals that the client wants again are no longer kept. Metadata: `oldest_final_index`."""

    reason = "FINALS_FORGOTTEN"


class AlreadyExists(Ai2TextError):
    """The identifier that the caller chose is taken by something different."""

    reason = "ALREADY_EXISTS"


class Overloaded(Ai2TextError):
    """A bound of this server is reached."""

    reason = "OVERLOADED"
    retry_after_s = 1.0


class DependencyUnavailable(Ai2TextError):
    """Something that this server needs does not answer. Metadata: `dependency`."""

    reason = "DEPENDENCY_UNAVAILABLE"
    retry_after_s = 2.0

    def __init__(self, dependency: str) -> None:
        super().__init__(f"{dependency} does not answer at the moment; try again", dependency=dependency)
        self.dependency = dependency


class TransferCorrupted(DependencyUnavailable):
    """Bytes changed on their way to or from the object store; sent again they may arrive."""

    def __init__(self) -> None:
        super().__init__("objects")


class StreamIdle(Ai2TextError):
    """The client sent nothing for too long."""

    reason = "STREAM_IDLE"


class Draining(Ai2TextError):
    """This server is shutting down; another one will answer."""

    reason = "DRAINING"
    retry_after_s = 0.5
