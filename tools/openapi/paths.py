"""Methods as the operations that google/api/http.proto makes of them."""

import itertools
import re
from collections.abc import Iterator

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor

from openapi.comments import Comments
from openapi.schemas import WELL_KNOWN, Json, Schemas

VARIABLE = re.compile(r"\{([^}=]+)(?:=([^}]*))?\}")
WILDCARD = re.compile(r"\*\*?")


class Paths:
    """The operations of a document."""

    def __init__(self, comments: Comments, schemas: Schemas) -> None:
        self._comments = comments
        self._schemas = schemas
        self.written: dict[str, Json] = {}

    def add(self, service: ServiceDescriptor) -> bool:
        """Writes an operation for each binding of each method; False when the service has none."""
        return sum(self._add(method) for method in service.methods) > 0

    def _add(self, method: MethodDescriptor) -> int:
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        bindings = [binding for binding in (rule, *rule.additional_bindings) if binding.WhichOneof("pattern")]
        for number, binding in enumerate(bindings, start=1):
            verb, template = _pattern(binding)
            path = VARIABLE.sub(lambda match: _written_out(method.input_type, match), template)
            operation = {"operationId": _operation_id(method, number), **self._operation(method, binding, template)}
            self.written.setdefault(path, {})[verb] = operation
        return len(bindings)

    def _operation(self, method: MethodDescriptor, binding: http_pb2.HttpRule, template: str) -> Json:
        described = self._comments.of(method.full_name)
        variables = {match[1]: match[2] or "*" for match in VARIABLE.finditer(template)}
        operation: Json = {
            "tags": [method.containing_service.full_name],
            **({"summary": described["description"].split(". ")[0].rstrip(".")} if described else {}),
            **described,
            "parameters": [
                *(
                    parameter
                    for variable, pattern in variables.items()
                    for parameter in self._path_parameters(method.input_type, variable, pattern)
                ),
                *self._query_parameters(method.input_type, binding.body, set(variables)),
            ],
            **self._body(method.input_type, binding.body, set(variables)),
            "responses": self._responses(method, binding.response_body),
        }
        return {key: value for key, value in operation.items() if value}

    def _path_parameters(self, message: Descriptor, variable: str, pattern: str) -> Iterator[Json]:
        """One for each wildcard of the pattern, whose fixed segments stand in the path."""
        name, field = _json_path(message, variable)
        described = _described(self._schemas.field(field))
        if pattern not in ("*", "**"):
            described["description"] = (
                f"What a `*` stands for in `{pattern}`. {described.get('description', '')}".strip()
            )
        for number, _ in enumerate(WILDCARD.findall(pattern), start=1):
            yield {"name": _numbered(name, number), "in": "path", "required": True, **described}

    def _query_parameters(self, message: Descriptor, body: str, bound: set[str]) -> Iterator[Json]:
        if body != "*":
            for path in _leaves(message):
                if path in bound or path.partition(".")[0] == body:
                    continue
                name, field = _json_path(message, path)
                yield {"name": name, "in": "query", **_described(self._schemas.field(field))}

    def _body(self, message: Descriptor, body: str, bound: set[str]) -> Json:
        if not body:
            return {}
        if body != "*":
            schema = self._schemas.field(message.fields_by_name[body])
        elif bound:
            schema = self._schemas.properties(message, without=bound)
        else:
            schema = self._schemas.message(message)
        return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}

    def _responses(self, method: MethodDescriptor, response_body: str) -> Json:
        message = method.output_type
        field = message.fields_by_name[response_body] if response_body else None
        schema = self._schemas.field(field) if field else self._schemas.message(message)
        if method.server_streaming:
            schema = {"type": "array", "items": schema}
        described = self._comments.of(message.full_name) or {"description": "OK"}
        return {
            "200": {**described, "content": {"application/json": {"schema": schema}}},
            "default": {"$ref": "#/components/responses/Error"},
        }


def _pattern(rule: http_pb2.HttpRule) -> tuple[str, str]:
    """The HTTP method in lower case, and the path template."""
    kind = rule.WhichOneof("pattern") or ""
    return (rule.custom.kind.lower(), rule.custom.path) if kind == "custom" else (kind, getattr(rule, kind))


def _written_out(message: Descriptor, variable: re.Match[str]) -> str:
    """A variable as OpenAPI can say it: a parameter has no slash in it, so the pattern's fixed segments are written."""
    name, _ = _json_path(message, variable[1])
    numbers = itertools.count(1)
    return WILDCARD.sub(lambda _: "{" + _numbered(name, next(numbers)) + "}", variable[2] or "*")


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}_{number}"


def _operation_id(method: MethodDescriptor, number: int) -> str:
    return _numbered(f"{method.containing_service.name}_{method.name}", number)


def _json_path(message: Descriptor, path: str) -> tuple[str, FieldDescriptor]:
    """`a_b.c_d` as JSON writes it, and the field at its end."""
    first, _, rest = path.partition(".")
    field = message.fields_by_name[first]
    if not rest or field.message_type is None:
        return field.json_name, field
    name, leaf = _json_path(field.message_type, rest)
    return f"{field.json_name}.{name}", leaf


def _leaves(message: Descriptor, prefix: str = "") -> Iterator[str]:
    """The paths of what a query string can carry: scalars, also repeated, and those of messages within messages."""
    for field in message.fields:
        nested = field.message_type
        if nested is None or nested.full_name in WELL_KNOWN:
            yield f"{prefix}{field.name}"
        elif not field.is_repeated and nested is not message:
            yield from _leaves(nested, f"{prefix}{field.name}.")


def _described(schema: Json) -> Json:
    """A parameter's description stands beside its schema, not in it."""
    described = {"description": schema["description"]} if "description" in schema else {}
    return {**described, "schema": {key: value for key, value in schema.items() if key != "description"}}
