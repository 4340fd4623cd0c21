"""Messages and enums as JSON schemas, by the proto3 JSON mapping."""

from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from openapi.comments import Comments

Json = dict[str, Any]

# 64 bits do not fit a JavaScript number, so JSON carries them as strings.
INT64: Json = {"type": "string", "format": "int64"}
UINT64: Json = {"type": "string", "format": "uint64"}
INT32: Json = {"type": "integer", "format": "int32"}
UINT32: Json = {"type": "integer", "format": "uint32", "minimum": 0}

SCALARS: dict[int, Json] = {
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_INT32: INT32,
    FieldDescriptor.TYPE_SINT32: INT32,
    FieldDescriptor.TYPE_SFIXED32: INT32,
    FieldDescriptor.TYPE_UINT32: UINT32,
    FieldDescriptor.TYPE_FIXED32: UINT32,
    FieldDescriptor.TYPE_INT64: INT64,
    FieldDescriptor.TYPE_SINT64: INT64,
    FieldDescriptor.TYPE_SFIXED64: INT64,
    FieldDescriptor.TYPE_UINT64: UINT64,
    FieldDescriptor.TYPE_FIXED64: UINT64,
}

ANY: Json = {
    "type": "object",
    "properties": {"@type": {"type": "string", "description": "The URL of the message's type."}},
    "required": ["@type"],
    "additionalProperties": True,
}

WELL_KNOWN: dict[str, Json] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?\d+(\.\d{1,9})?s$", "examples": ["1.5s"]},
    "google.protobuf.FieldMask": {"type": "string", "examples": ["title,languageCode"]},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Value": {},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.Any": ANY,
}


class Schemas:
    """The schemas of messages and enums, written when first asked for, so that only what is needed is there."""

    def __init__(self, comments: Comments) -> None:
        self._comments = comments
        self.written: dict[str, Json] = {}

    def field(self, field: FieldDescriptor) -> Json:
        """The schema of a field with its comment."""
        return {**self._shape(field), **self._comments.of(field.full_name)}

    def message(self, message: Descriptor) -> Json:
        """A reference to a message, or the schema that the JSON mapping gives a well-known type."""
        if message.full_name in WELL_KNOWN:
            return WELL_KNOWN[message.full_name]
        if message.full_name.startswith("google.protobuf.") and list(message.fields_by_name) == ["value"]:
            return self._value(message.fields[0])  # a wrapper is written as what it wraps
        return self._reference(message)

    def properties(self, message: Descriptor, without: set[str]) -> Json:
        """The schema of a message written out, but for the fields named in `without`."""
        fields = {field.json_name: self.field(field) for field in message.fields if field.name not in without}
        return {"type": "object", "properties": fields}

    def _shape(self, field: FieldDescriptor) -> Json:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return {"type": "object", "additionalProperties": self._value(field.message_type.fields_by_name["value"])}
        value = self._value(field)
        return {"type": "array", "items": value} if field.is_repeated else dict(value)

    def _value(self, field: FieldDescriptor) -> Json:
        if field.message_type is not None:
            return self.message(field.message_type)
        if field.enum_type is not None:
            return self._reference(field.enum_type)
        return SCALARS[field.type]

    def _reference(self, kind: Descriptor | EnumDescriptor) -> Json:
        if kind.full_name not in self.written:
            self.written[kind.full_name] = {}  # so that a message may contain itself
            self.written[kind.full_name] = self._enum(kind) if isinstance(kind, EnumDescriptor) else self._object(kind)
        return {"$ref": f"#/components/schemas/{kind.full_name}"}

    def _object(self, message: Descriptor) -> Json:
        described = self._comments.of(message.full_name)
        for choice in message.oneofs:
            names = ", ".join(f"`{field.json_name}`" for field in choice.fields)
            if not choice.name.startswith("_"):  # proto3 `optional` is a oneof of one
                described["description"] = f"{described.get('description', '')}\n\nAt most one of {names}.".strip()
        return {**described, **self.properties(message, without=set())}

    def _enum(self, enum: EnumDescriptor) -> Json:
        described = self._comments.of(enum.full_name).get("description", "")
        comments = {value.name: self._comments.of(f"{enum.full_name}.{value.name}") for value in enum.values}
        lines = [f"- `{name}`: {comment['description']}" for name, comment in comments.items() if comment]
        return {"description": "\n".join([described, "", *lines]).strip(), "type": "string", "enum": list(comments)}
