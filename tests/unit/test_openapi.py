"""The OpenAPI document: the committed one is valid, and the plugin follows google.api.http and the JSON mapping."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc_tools
import pytest
import yaml
from google.protobuf.compiler import plugin_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import status_pb2
from grpc_tools import protoc
from openapi_spec_validator import OpenAPIV31SpecValidator

REPOSITORY = Path(__file__).resolve().parents[2]
PLUGIN = REPOSITORY / "tools" / "protoc-gen-openapi"
COMMITTED = REPOSITORY / "gen" / "openapi" / "openapi.json"
INCLUDES = (Path(status_pb2.__file__).parents[2], Path(grpc_tools.__file__).parent / "_proto")

LIBRARY = """
syntax = "proto3";
package library.v1;

import "google/api/annotations.proto";
import "google/longrunning/operations_proto.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

// Keeps books.
service Library {
  // ListBooks lists. All of them.
  rpc ListBooks(ListBooksRequest) returns (stream Book) {
    option (google.api.http) = {
      get: "/v1/{shelf.shelf_name=shelves/*}/books"
      additional_bindings {post: "/v1/books:list" body: "*"}
    };
  }
  // No JSON for this one.
  rpc Hidden(HiddenRequest) returns (HiddenRequest);
  rpc UpdateBook(UpdateBookRequest) returns (UpdateBookResponse) {
    option (google.api.http) = {
      patch: "/v1/books/{book_id}"
      body: "book"
      response_body: "book"
    };
  }
  // Moves what [Shelf][library.v1.Shelf] says.
  rpc MoveShelf(MoveShelfRequest) returns (Shelf) {
    option (google.api.http) = {post: "/v1/{name=rooms/*/shelves/**}:move" body: "*"};
  }
  rpc CountShelves(MoveShelfRequest) returns (Shelf) {
    option (google.api.http) = {get: "/v1/{name=shelves}"};
  }
  rpc BorrowBook(BorrowBookRequest) returns (Book) {
    option (google.api.http) = {post: "/v1/books/{book_id}:borrow" body: "*"};
  }
}

message HiddenRequest {}
message MoveShelfRequest { string name = 1; }
message Shelf { string shelf_name = 1; uint32 row_number = 2; }
message ListBooksRequest {
  Shelf shelf = 1;
  // Only these.
  repeated string author_names = 2;
  google.protobuf.Timestamp since = 3;
  map<string, string> labels = 4;
}
message UpdateBookRequest { string book_id = 1; Book book = 2; google.protobuf.FieldMask update_mask = 3; }
message UpdateBookResponse { Book book = 1; }
message BorrowBookRequest { string book_id = 1; string reader = 2; }

// How a book
// is bound.
enum Binding {
  // Not known.
  BINDING_UNSPECIFIED = 0;
  BINDING_CLOTH = 1;
}
message Book {
  int64 page_count = 1;
  bytes cover = 2;
  Binding binding = 3;
  map<string, Shelf> copies = 4;
  google.protobuf.StringValue subtitle = 5;
  repeated Book sequels = 6;
  optional bool lent = 7;
  oneof identifier { string isbn = 8; string issn = 9; }
}
"""


def run_plugin(proto: str, folder: Path) -> dict[str, Any]:
    """The document that the plugin makes of one file, asked the way that protoc asks."""
    (folder / "library.proto").write_text(proto)
    described = folder / "library.binpb"
    arguments = [f"-I{folder}", *(f"-I{include}" for include in INCLUDES), "--include_imports", "--include_source_info"]
    assert protoc.main(["protoc", *arguments, f"--descriptor_set_out={described}", "library.proto"]) == 0
    request = plugin_pb2.CodeGeneratorRequest(
        file_to_generate=["library.proto"],
        parameter="title=Library,version=v7,also=google.longrunning.Operations",
        proto_file=FileDescriptorSet.FromString(described.read_bytes()).file,
    )
    done = subprocess.run([sys.executable, PLUGIN], input=request.SerializeToString(), capture_output=True, check=True)
    (file,) = plugin_pb2.CodeGeneratorResponse.FromString(done.stdout).file
    assert file.name == "openapi.json"
    document: dict[str, Any] = json.loads(file.content)
    return document


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_plugin(LIBRARY, tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))
    return document


@pytest.mark.parametrize("name", ["library", "committed"])
def test_document_is_valid_openapi(name: str, request: pytest.FixtureRequest) -> None:
    document = request.getfixturevalue(name)
    assert document["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_committed_document_has_every_binding_of_the_contract(committed: dict[str, Any]) -> None:
    operations = {(verb, path) for path, item in committed["paths"].items() for verb in item}
    assert {
        ("post", "/v1/search"),
        ("get", "/v1/search"),
        ("get", "/v1/recordings/{recordingId}:export"),
        ("post", "/v1/transcripts/{transcriptId}/segments:append"),
        ("post", "/v1/speech:recognize"),
    } <= operations
    assert not any("StreamingRecognize" in path for _, path in operations)


def test_options_comments_and_security_reach_the_document(library: dict[str, Any]) -> None:
    assert library["info"] == {"title": "Library", "version": "v7"}
    assert library["tags"][0] == {"name": "library.v1.Library", "description": "Keeps books."}
    assert library["security"] == [{"bearer": []}]
    assert library["components"]["securitySchemes"]["bearer"]["bearerFormat"] == "JWT"


def test_path_variables_and_the_rest_as_query(library: dict[str, Any]) -> None:
    listing = library["paths"]["/v1/shelves/{shelf.shelfName}/books"]["get"]
    assert (listing["summary"], listing["description"]) == ("ListBooks lists", "ListBooks lists. All of them.")
    places = {parameter["name"]: (parameter["in"], parameter["schema"]) for parameter in listing["parameters"]}
    assert places == {
        "shelf.shelfName": ("path", {"type": "string"}),
        "shelf.rowNumber": ("query", {"type": "integer", "format": "uint32", "minimum": 0}),
        "authorNames": ("query", {"type": "array", "items": {"type": "string"}}),
        "since": ("query", {"type": "string", "format": "date-time"}),
    }
    assert "requestBody" not in listing


def test_fixed_segments_of_a_variable_stand_in_the_path(library: dict[str, Any]) -> None:
    move = library["paths"]["/v1/rooms/{name}/shelves/{name_2}:move"]["post"]
    assert [(parameter["name"], parameter["in"]) for parameter in move["parameters"]] == [
        ("name", "path"),
        ("name_2", "path"),
    ]
    assert move["parameters"][0]["description"] == "What a `*` stands for in `rooms/*/shelves/**`."
    count = library["paths"]["/v1/shelves"]["get"]
    assert "parameters" not in count  # not in the query either


def test_links_of_comments_become_names(library: dict[str, Any]) -> None:
    assert (
        library["paths"]["/v1/rooms/{name}/shelves/{name_2}:move"]["post"]["description"] == "Moves what `Shelf` says."
    )


@pytest.mark.parametrize("name", ["library", "committed"])
def test_services_of_imported_files_are_there_when_they_are_asked_for(
    name: str, request: pytest.FixtureRequest
) -> None:
    document = request.getfixturevalue(name)
    operations = {
        (verb, path): operation["operationId"]
        for path, item in document["paths"].items()
        for verb, operation in item.items()
        if "google.longrunning.Operations" in operation["tags"]
    }
    assert operations == {
        ("get", "/v1/operations"): "Operations_ListOperations",
        ("get", "/v1/operations/{name}"): "Operations_GetOperation",
        ("delete", "/v1/operations/{name}"): "Operations_DeleteOperation",
        ("post", "/v1/operations/{name}:cancel"): "Operations_CancelOperation",
    }
    listing = document["paths"]["/v1/operations"]["get"]
    assert {"filter", "pageSize", "pageToken"} <= {parameter["name"] for parameter in listing["parameters"]}
    assert "google.longrunning.Operation" in document["components"]["schemas"]


def test_every_service_that_the_edge_transcodes_is_in_the_document(committed: dict[str, Any]) -> None:
    edge = yaml.safe_load((REPOSITORY / "envoy" / "envoy.yaml").read_text(encoding="utf-8"))
    (transcoded,) = (found["services"] for found in mappings(edge) if "proto_descriptor" in found)
    assert {tag["name"] for tag in committed["tags"]} == set(transcoded)


def mappings(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a YAML document."""
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from mappings(inner)


def test_additional_binding_takes_the_message_as_body(library: dict[str, Any]) -> None:
    listing = library["paths"]["/v1/books:list"]["post"]
    assert listing["operationId"] == "Library_ListBooks_2"
    assert "parameters" not in listing
    body = listing["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/library.v1.ListBooksRequest"}


def test_body_of_one_field_leaves_the_others_to_the_query(library: dict[str, Any]) -> None:
    update = library["paths"]["/v1/books/{bookId}"]["patch"]
    book = {"$ref": "#/components/schemas/library.v1.Book"}
    assert [(parameter["name"], parameter["in"]) for parameter in update["parameters"]] == [
        ("bookId", "path"),
        ("updateMask", "query"),
    ]
    assert update["requestBody"]["content"]["application/json"]["schema"] == book
    assert update["responses"]["200"]["content"]["application/json"]["schema"] == book


def test_whole_body_has_not_what_the_path_has(library: dict[str, Any]) -> None:
    borrow = library["paths"]["/v1/books/{bookId}:borrow"]["post"]
    body = borrow["requestBody"]["content"]["application/json"]["schema"]
    assert list(body["properties"]) == ["reader"]


def test_server_stream_is_an_array_and_errors_are_a_status(library: dict[str, Any]) -> None:
    responses = library["paths"]["/v1/books:list"]["post"]["responses"]
    assert responses["200"]["content"]["application/json"]["schema"]["type"] == "array"
    assert responses["default"] == {"$ref": "#/components/responses/Error"}
    assert set(library["components"]["schemas"]["google.rpc.Status"]["properties"]) == {"code", "message", "details"}


def test_schemas_follow_the_json_mapping(library: dict[str, Any]) -> None:
    book = library["components"]["schemas"]["library.v1.Book"]
    assert book["description"] == "At most one of `isbn`, `issn`."
    properties = book["properties"]
    assert properties["pageCount"] == {"type": "string", "format": "int64"}
    assert properties["cover"] == {"type": "string", "contentEncoding": "base64"}
    assert properties["subtitle"] == {"type": "string"}
    assert properties["sequels"] == {"type": "array", "items": {"$ref": "#/components/schemas/library.v1.Book"}}
    assert properties["copies"]["additionalProperties"] == {"$ref": "#/components/schemas/library.v1.Shelf"}
    assert library["components"]["schemas"]["library.v1.Binding"] == {
        "description": "How a book is bound.\n\n- `BINDING_UNSPECIFIED`: Not known.",
        "type": "string",
        "enum": ["BINDING_UNSPECIFIED", "BINDING_CLOTH"],
    }


def test_what_no_json_method_needs_is_left_out(library: dict[str, Any]) -> None:
    assert "library.v1.HiddenRequest" not in library["components"]["schemas"]
    assert library["components"]["schemas"]["library.v1.ListBooksRequest"]["properties"]["authorNames"] == {
        "type": "array",
        "items": {"type": "string"},
        "description": "Only these.",
    }
