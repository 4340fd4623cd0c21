from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    ERROR_REASON_IDENTITY_MISSING: _ClassVar[ErrorReason]
    ERROR_REASON_SCOPE_MISSING: _ClassVar[ErrorReason]
    ERROR_REASON_FIELD_INVALID: _ClassVar[ErrorReason]
    ERROR_REASON_CONFIG_OUT_OF_ORDER: _ClassVar[ErrorReason]
    ERROR_REASON_ENCODING_UNSUPPORTED: _ClassVar[ErrorReason]
    ERROR_REASON_AUDIO_UNDECODABLE: _ClassVar[ErrorReason]
    ERROR_REASON_AUDIO_TOO_LARGE: _ClassVar[ErrorReason]
    ERROR_REASON_LANGUAGE_UNSUPPORTED: _ClassVar[ErrorReason]
    ERROR_REASON_RECORDING_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_TRANSCRIPT_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_ALREADY_EXISTS: _ClassVar[ErrorReason]
    ERROR_REASON_PAGE_TOKEN_INVALID: _ClassVar[ErrorReason]
    ERROR_REASON_OVERLOADED: _ClassVar[ErrorReason]
    ERROR_REASON_DEPENDENCY_UNAVAILABLE: _ClassVar[ErrorReason]
    ERROR_REASON_STREAM_IDLE: _ClassVar[ErrorReason]
    ERROR_REASON_DRAINING: _ClassVar[ErrorReason]
    ERROR_REASON_INTERNAL: _ClassVar[ErrorReason]
    ERROR_REASON_TEXT_TOO_LONG: _ClassVar[ErrorReason]
ERROR_REASON_UNSPECIFIED: ErrorReason
ERROR_REASON_IDENTITY_MISSING: ErrorReason
ERROR_REASON_SCOPE_MISSING: ErrorReason
ERROR_REASON_FIELD_INVALID: ErrorReason
ERROR_REASON_CONFIG_OUT_OF_ORDER: ErrorReason
ERROR_REASON_ENCODING_UNSUPPORTED: ErrorReason
ERROR_REASON_AUDIO_UNDECODABLE: ErrorReason
ERROR_REASON_AUDIO_TOO_LARGE: ErrorReason
ERROR_REASON_LANGUAGE_UNSUPPORTED: ErrorReason
ERROR_REASON_RECORDING_NOT_FOUND: ErrorReason
ERROR_REASON_TRANSCRIPT_NOT_FOUND: ErrorReason
ERROR_REASON_ALREADY_EXISTS: ErrorReason
ERROR_REASON_PAGE_TOKEN_INVALID: ErrorReason
ERROR_REASON_OVERLOADED: ErrorReason
ERROR_REASON_DEPENDENCY_UNAVAILABLE: ErrorReason
ERROR_REASON_STREAM_IDLE: ErrorReason
ERROR_REASON_DRAINING: ErrorReason
ERROR_REASON_INTERNAL: ErrorReason
ERROR_REASON_TEXT_TOO_LONG: ErrorReason
