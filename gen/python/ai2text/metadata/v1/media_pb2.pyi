from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class StoredObject(_message.Message):
    __slots__ = ("key", "size_bytes", "sha256", "crc32c")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    key: str
    size_bytes: int
    sha256: bytes
    crc32c: int
    def __init__(self, key: _Optional[str] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[bytes] = ..., crc32c: _Optional[int] = ...) -> None: ...

class MediaInfo(_message.Message):
    __slots__ = ("container", "codec", "sample_rate_hz", "channel_count", "duration_ms")
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    container: str
    codec: str
    sample_rate_hz: int
    channel_count: int
    duration_ms: int
    def __init__(self, container: _Optional[str] = ..., codec: _Optional[str] = ..., sample_rate_hz: _Optional[int] = ..., channel_count: _Optional[int] = ..., duration_ms: _Optional[int] = ...) -> None: ...
