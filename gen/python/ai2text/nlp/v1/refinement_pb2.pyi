from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RefinementStep(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFINEMENT_STEP_UNSPECIFIED: _ClassVar[RefinementStep]
    REFINEMENT_STEP_DIACRITICS: _ClassVar[RefinementStep]
    REFINEMENT_STEP_TONE_PLACEMENT: _ClassVar[RefinementStep]
    REFINEMENT_STEP_NUMBERS: _ClassVar[RefinementStep]
    REFINEMENT_STEP_PUNCTUATION: _ClassVar[RefinementStep]
    REFINEMENT_STEP_CAPITALISATION: _ClassVar[RefinementStep]
REFINEMENT_STEP_UNSPECIFIED: RefinementStep
REFINEMENT_STEP_DIACRITICS: RefinementStep
REFINEMENT_STEP_TONE_PLACEMENT: RefinementStep
REFINEMENT_STEP_NUMBERS: RefinementStep
REFINEMENT_STEP_PUNCTUATION: RefinementStep
REFINEMENT_STEP_CAPITALISATION: RefinementStep

class SpanEdit(_message.Message):
    __slots__ = ("step", "start", "end", "replacement")
    STEP_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    REPLACEMENT_FIELD_NUMBER: _ClassVar[int]
    step: RefinementStep
    start: int
    end: int
    replacement: str
    def __init__(self, step: _Optional[_Union[RefinementStep, str]] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., replacement: _Optional[str] = ...) -> None: ...
