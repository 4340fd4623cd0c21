"""A contract as one OpenAPI document."""

from google.protobuf.compiler import plugin_pb2
from google.protobuf.descriptor_pool import DescriptorPool

from openapi.comments import Comments
from openapi.paths import Paths
from openapi.schemas import ANY, Json, Schemas

STATUS: Json = {
    "description": "Why a call failed.",
    "type": "object",
    "properties": {
        "code": {"type": "integer", "format": "int32", "description": "The gRPC code, a value of `google.rpc.Code`."},
        "message": {"type": "string", "description": "For people; may change."},
        "details": {
            "type": "array",
            "description": "`google.rpc.ErrorInfo` says why in its `reason`; `RetryInfo` when to try again, "
            "`BadRequest` which field is wrong.",
            "items": ANY,
        },
    },
}


def document(request: plugin_pb2.CodeGeneratorRequest) -> Json:
    """The whole document for the files that are to be generated, and the services that the option `also` names."""
    options = dict(option.partition("=")[::2] for option in request.parameter.split(",") if option)
    pool = DescriptorPool()
    for file in request.proto_file:
        pool.Add(file)
    comments = Comments(list(request.proto_file))
    schemas = Schemas(comments)
    paths = Paths(comments, schemas)
    asked = [pool.FindFileByName(name) for name in sorted(request.file_to_generate)]
    also = [pool.FindServiceByName(name) for name in options.get("also", "").split("+") if name]
    services = [*(service for file in asked for service in file.services_by_name.values()), *also]
    shown = [service for service in services if paths.add(service)]
    return {
        "openapi": "3.1.0",
        "info": {"title": options.get("title", "API"), "version": options.get("version", "v1")},
        "security": [{"bearer": []}],
        "tags": [{"name": service.full_name, **comments.of(service.full_name)} for service in shown],
        "paths": dict(sorted(paths.written.items())),
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "responses": {
                "Error": {
                    "description": "The call failed.",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/google.rpc.Status"}}},
                }
            },
            "schemas": dict(sorted((schemas.written | {"google.rpc.Status": STATUS}).items())),
        },
    }
