"""The adapter to Triton, against a server that speaks KServe v2."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from servers.common import channel
from servers.common.errors import DependencyUnavailable, InvalidInput
from servers.embeddings.embedding import Kind, ModelFailed
from servers.embeddings.triton import TritonEncoder


class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers each request with the same vectors, or the same two scores, or with `refusal`."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.ready = True
        self.refusal: grpc.StatusCode | None = None

    async def ModelReady(self, request: Any, context: Any) -> Any:
        return service_pb2.ModelReadyResponse(ready=self.ready)

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        self.seen.append(request)
        if self.refusal:
            await context.abort(self.refusal, "secret")
        response = service_pb2.ModelInferResponse(model_name=request.model_name)
        if any(sent.name == "QUERY" for sent in request.inputs):
            response.outputs.add(name="CLOSENESS", datatype="FP32", shape=[2, 1])
            response.raw_output_contents.append(np.array([0.25, 0.75], np.float32).tobytes())
            return response
        rows = request.inputs[0].shape[0]
        response.outputs.add(name="EMBEDDING", datatype="FP32", shape=[rows, 2])
        vectors = np.array([[0.6, 0.8], [0.8, 0.6]], np.float32)[:rows]
        response.raw_output_contents.append(vectors.tobytes())
        return response


@pytest.fixture
def triton() -> FakeTriton:
    return FakeTriton()


@pytest.fixture
async def encoder(triton: FakeTriton) -> AsyncIterator[TritonEncoder]:
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(triton, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with channel.connect(f"127.0.0.1:{port}") as connection:
        yield TritonEncoder(connection, timeout_s=2)
    await server.stop(None)


async def test_the_tensors_are_those_of_the_model(encoder: TritonEncoder, triton: FakeTriton) -> None:
    (vector,) = await encoder.encode_all(["xin chào"], Kind.QUERY)
    np.testing.assert_allclose(vector, [0.6, 0.8])
    assert vector.dtype == np.float32
    (request,) = triton.seen
    assert request.model_name == "embedder"
    assert [(sent.name, sent.datatype, list(sent.shape)) for sent in request.inputs] == [
        ("TEXT", "BYTES", [1, 1]),
        ("KIND", "BYTES", [1, 1]),
    ]
    assert list(request.raw_input_contents) == [
        len("xin chào".encode()).to_bytes(4, "little") + "xin chào".encode(),
        b"\x05\x00\x00\x00query",
    ]


async def test_several_texts_go_in_one_request_and_keep_their_order(encoder: TritonEncoder, triton: FakeTriton) -> None:
    vectors = await encoder.encode_all(["mưa", "nắng"], Kind.PASSAGE)
    np.testing.assert_allclose(vectors, [[0.6, 0.8], [0.8, 0.6]])
    (request,) = triton.seen
    assert [list(sent.shape) for sent in request.inputs] == [[2, 1], [2, 1]]
    assert request.raw_input_contents[1] == 2 * b"\x07\x00\x00\x00passage"


async def test_texts_to_compare_go_together_each_beside_the_query(encoder: TritonEncoder, triton: FakeTriton) -> None:
    assert await encoder.closeness("mưa", ["a", "nắng"]) == [0.25, 0.75]
    (request,) = triton.seen
    assert [(sent.name, sent.datatype, list(sent.shape)) for sent in request.inputs] == [
        ("TEXT", "BYTES", [2, 1]),
        ("KIND", "BYTES", [2, 1]),
        ("QUERY", "BYTES", [2, 1]),
    ]
    assert request.raw_input_contents[2] == 2 * (len("mưa".encode()).to_bytes(4, "little") + "mưa".encode())


async def test_what_the_model_refuses_is_the_input_s_fault(encoder: TritonEncoder, triton: FakeTriton) -> None:
    triton.refusal = grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(InvalidInput) as info:
        await encoder.encode_all(["a"], Kind.PASSAGE)
    assert "secret" not in str(info.value)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(grpc.StatusCode.UNAVAILABLE, DependencyUnavailable), (grpc.StatusCode.INTERNAL, ModelFailed)],
)
async def test_a_model_that_fails_is_away_to_callers(
    encoder: TritonEncoder, triton: FakeTriton, code: grpc.StatusCode, kind: type[DependencyUnavailable]
) -> None:
    triton.refusal = code
    with pytest.raises(DependencyUnavailable) as info:
        await encoder.encode_all(["a"], Kind.PASSAGE)
    assert (type(info.value), info.value.dependency) == (kind, "triton")


async def test_the_check_says_whether_the_model_is_ready(encoder: TritonEncoder, triton: FakeTriton) -> None:
    await encoder.check()
    triton.ready = False
    with pytest.raises(DependencyUnavailable):
        await encoder.check()


async def test_nobody_listens() -> None:
    async with channel.connect("127.0.0.1:1") as connection:
        encoder = TritonEncoder(connection, timeout_s=2)
        with pytest.raises(DependencyUnavailable):
            await encoder.encode_all(["a"], Kind.QUERY)
        with pytest.raises(DependencyUnavailable):
            await encoder.check()
