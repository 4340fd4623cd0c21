"""A model on Triton, called over its gRPC interface (KServe v2) with raw tensors."""

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import structlog
from tritonclient.grpc import service_pb2, service_pb2_grpc

from servers.common.errors import DependencyUnavailable, InvalidInput

log = structlog.get_logger(__name__)

Tensor = npt.NDArray[Any]

_DATATYPES: dict[np.dtype[Any], str] = {
    np.dtype(np.float32): "FP32",
    np.dtype(np.int32): "INT32",
    np.dtype(np.int64): "INT64",
    np.dtype(np.bool_): "BOOL",
}
_DTYPES: dict[str, np.dtype[Any]] = {name: dtype for dtype, name in _DATATYPES.items()}


class TritonModel:
    """One model of one Triton server. Strings travel as object arrays of `str`."""

    def __init__(self, channel: grpc.aio.Channel, name: str) -> None:
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        self._name = name

    async def infer(self, inputs: Mapping[str, Tensor], timeout_s: float) -> dict[str, Tensor]:
        """Run the model once; every tensor begins with the batch dimension.

        InvalidInput when the model refuses the input; DependencyUnavailable when Triton is away, too slow, or the
        model fails.
        """
        request = service_pb2.ModelInferRequest(model_name=self._name)
        for name, tensor in inputs.items():
            datatype, raw = _encoded(tensor)
            request.inputs.add(name=name, datatype=datatype, shape=tensor.shape)
            request.raw_input_contents.append(raw)
        try:
            response = await self._stub.ModelInfer(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise self._translated(error) from error
        return {
            output.name: _decoded(output.datatype, list(output.shape), raw)
            for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)
        }

    async def check(self, timeout_s: float = 1.0) -> None:
        """Raise DependencyUnavailable when the model is not ready."""
        try:
            answer = await self._stub.ModelReady(service_pb2.ModelReadyRequest(name=self._name), timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise DependencyUnavailable("triton") from error
        if not answer.ready:
            raise DependencyUnavailable("triton")

    def _translated(self, error: grpc.aio.AioRpcError) -> Exception:
        if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
            return InvalidInput(f"the model {self._name} refuses its input")
        log.warning("inference failed", model=self._name, code=error.code().name, details=error.details())
        return DependencyUnavailable("triton")


def strings(*texts: str) -> Tensor:
    """A tensor of shape [1, n] that holds strings."""
    return np.array([texts], dtype=np.object_)


def _encoded(tensor: Tensor) -> tuple[str, bytes]:
    if tensor.dtype != np.object_:
        return _DATATYPES[tensor.dtype], np.ascontiguousarray(tensor).tobytes()
    texts = [str(text).encode() for text in tensor.reshape(-1)]
    return "BYTES", b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def _decoded(datatype: str, shape: Sequence[int], raw: bytes) -> Tensor:
    if datatype != "BYTES":
        tensor: Tensor = np.frombuffer(raw, _DTYPES[datatype]).reshape(shape)
        return tensor
    texts: list[str] = []
    while raw:
        length = int.from_bytes(raw[:4], "little")
        texts.append(raw[4 : 4 + length].decode())
        raw = raw[4 + length :]
    return np.array(texts, dtype=np.object_).reshape(shape)
