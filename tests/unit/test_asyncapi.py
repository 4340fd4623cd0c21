"""The AsyncAPI document: the committed one is valid and says what the code declares; the plugin reads comments."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.compiler import plugin_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc
from jsonschema import Draft7Validator

from servers.common import streams
from tests.unit.test_openapi import INCLUDES, REPOSITORY

PLUGIN = REPOSITORY / "tools" / "protoc-gen-asyncapi"
COMMITTED = REPOSITORY / "gen" / "asyncapi" / "asyncapi.json"
SPECIFICATION = REPOSITORY / "clients" / "web" / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"

BAKERY = """
syntax = "proto3";
package bakery.events.v1;

import "google/protobuf/timestamp.proto";

// BreadBaked says that a bread is done. Subject: `bread.baked`, stream
// BREADS. Published by the oven, hot.
message BreadBaked {
  // Names it.
  string event_id = 1;
  google.protobuf.Timestamp event_time = 2;
  repeated Slice slices = 3;
  bytes smell = 4;
}
// Slice is a piece. It has no subject of its own.
message Slice { int64 grams = 1; }
message Unrelated { string name = 1; }
"""


def run_plugin(proto: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """The plugin, asked about one file the way that protoc asks."""
    (folder / "bakery.proto").write_text(proto)
    described = folder / "bakery.binpb"
    arguments = [f"-I{folder}", *(f"-I{include}" for include in INCLUDES), "--include_imports", "--include_source_info"]
    assert protoc.main(["protoc", *arguments, f"--descriptor_set_out={described}", "bakery.proto"]) == 0
    request = plugin_pb2.CodeGeneratorRequest(
        file_to_generate=["bakery.proto"],
        parameter="title=Bakery,version=v7",
        proto_file=FileDescriptorSet.FromString(described.read_bytes()).file,
    )
    return subprocess.run([sys.executable, PLUGIN], input=request.SerializeToString(), capture_output=True, check=False)


def documented(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    """The document that a successful run wrote."""
    assert done.returncode == 0, done.stderr.decode()
    (file,) = plugin_pb2.CodeGeneratorResponse.FromString(done.stdout).file
    assert file.name == "asyncapi.json"
    document: dict[str, Any] = json.loads(file.content)
    return document


@pytest.fixture(scope="module")
def bakery(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return documented(run_plugin(BAKERY, tmp_path_factory.mktemp("bakery")))


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def specification() -> Draft7Validator:
    if not SPECIFICATION.is_file():
        pytest.skip("the schema of AsyncAPI is in the development dependencies of clients/web, which are not installed")
    return Draft7Validator(json.loads(SPECIFICATION.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ["bakery", "committed"])
def test_document_is_valid_asyncapi(name: str, request: pytest.FixtureRequest, specification: Draft7Validator) -> None:
    document = request.getfixturevalue(name)
    assert [error.message for error in specification.iter_errors(document)] == []


def test_the_specification_refuses_what_is_no_asyncapi(bakery: dict[str, Any], specification: Draft7Validator) -> None:
    wrong = json.loads(json.dumps(bakery))
    wrong["operations"]["publishBreadBaked"]["action"] = "bake"
    assert not specification.is_valid(wrong)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "$ref")
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


@pytest.mark.parametrize("name", ["bakery", "committed"])
def test_every_reference_leads_somewhere(name: str, request: pytest.FixtureRequest) -> None:
    document = request.getfixturevalue(name)
    found = set(references(document))
    assert found
    for reference in found:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_the_document_has_the_subjects_that_the_servers_use_and_no_other(committed: dict[str, Any]) -> None:
    declared = {topic.subject: (topic.stream, topic.event.DESCRIPTOR.full_name) for topic in streams.TOPICS}
    documented = {}
    for subject, channel in committed["channels"].items():
        (name,) = channel["messages"]
        stream = channel["description"].removeprefix("Kept in the stream ").rstrip(".")
        documented[subject] = (stream, committed["components"]["messages"][name]["name"])
    assert documented == declared


def test_every_channel_has_somebody_who_sends(committed: dict[str, Any]) -> None:
    sent = {operation["channel"]["$ref"].removeprefix("#/channels/") for operation in committed["operations"].values()}
    assert sent == set(committed["channels"])
    for operation in committed["operations"].values():
        assert operation["action"] == "send"
        assert operation["summary"].startswith("Published ")


def test_a_comment_becomes_channel_operation_and_message(bakery: dict[str, Any]) -> None:
    assert bakery["info"] == {"title": "Bakery", "version": "v7"}
    assert bakery["channels"] == {
        "bread.baked": {
            "address": "bread.baked",
            "title": "BreadBaked says that a bread is done",
            "description": "Kept in the stream BREADS.",
            "messages": {"BreadBaked": {"$ref": "#/components/messages/BreadBaked"}},
        }
    }
    assert bakery["operations"]["publishBreadBaked"] == {
        "action": "send",
        "channel": {"$ref": "#/channels/bread.baked"},
        "summary": "Published by the oven, hot",
        "messages": [{"$ref": "#/channels/bread.baked/messages/BreadBaked"}],
    }
    message = bakery["components"]["messages"]["BreadBaked"]
    assert message["contentType"] == bakery["defaultContentType"] == "application/protobuf"
    assert message["payload"] == {"$ref": "#/components/schemas/bakery.events.v1.BreadBaked"}
    headers = bakery["components"]["messageTraits"]["event"]["headers"]
    assert {"Nats-Msg-Id", "traceparent"} <= set(headers["properties"])


def test_payloads_follow_the_json_mapping_and_what_no_event_needs_is_left_out(bakery: dict[str, Any]) -> None:
    schemas = bakery["components"]["schemas"]
    assert set(schemas) == {"bakery.events.v1.BreadBaked", "bakery.events.v1.Slice"}
    properties = schemas["bakery.events.v1.BreadBaked"]["properties"]
    assert properties["eventId"] == {"type": "string", "description": "Names it."}
    assert properties["eventTime"] == {"type": "string", "format": "date-time"}
    assert properties["slices"]["items"] == {"$ref": "#/components/schemas/bakery.events.v1.Slice"}


def test_two_events_of_one_subject_are_an_error(tmp_path: Path) -> None:
    second = BAKERY + "\n// Again. Subject: `bread.baked`, stream BREADS. Published by nobody.\nmessage Other {}\n"
    done = run_plugin(second, tmp_path)
    assert done.returncode != 0
    assert b"same subject" in done.stderr
