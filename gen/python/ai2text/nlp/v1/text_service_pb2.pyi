from ai2text.nlp.v1 import refinement_pb2 as _refinement_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RefineRequest(_message.Message):
    __slots__ = ("text", "language_code", "steps")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_CODE_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    text: str
    language_code: str
    steps: _containers.RepeatedScalarFieldContainer[_refinement_pb2.RefinementStep]
    def __init__(self, text: _Optional[str] = ..., language_code: _Optional[str] = ..., steps: _Optional[_Iterable[_Union[_refinement_pb2.RefinementStep, str]]] = ...) -> None: ...

class RefineResponse(_message.Message):
    __slots__ = ("text", "edits", "steps")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    EDITS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    text: str
    edits: _containers.RepeatedCompositeFieldContainer[_refinement_pb2.SpanEdit]
    steps: _containers.RepeatedScalarFieldContainer[_refinement_pb2.RefinementStep]
    def __init__(self, text: _Optional[str] = ..., edits: _Optional[_Iterable[_Union[_refinement_pb2.SpanEdit, _Mapping]]] = ..., steps: _Optional[_Iterable[_Union[_refinement_pb2.RefinementStep, str]]] = ...) -> None: ...
