"""The model `embedder` on Triton as Model and Comparer of the domain; see triton_models/embedder for its tensors."""

from collections.abc import Sequence

import grpc
import numpy as np

from servers.common.errors import DependencyUnavailable
from servers.common.triton import Tensor, TritonModel, strings
from servers.embeddings.embedding import Kind, ModelFailed, Vector


class TritonEncoder:
    """`timeout_s` is that of one request, its wait in Triton's queue included."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        self._model = TritonModel(channel, "embedder")
        self._timeout_s = timeout_s

    async def check(self) -> None:
        """Raise DependencyUnavailable when the model is not ready."""
        await self._model.check()

    async def encode_all(self, texts: Sequence[str], kind: Kind) -> Sequence[Vector]:
        """See Model."""
        rows = {"TEXT": _rows(texts), "KIND": _rows([kind.value] * len(texts))}
        try:
            outputs = await self._model.infer(rows, self._timeout_s)
        except DependencyUnavailable as error:
            cause = error.__cause__
            if isinstance(cause, grpc.aio.AioRpcError) and cause.code() is grpc.StatusCode.INTERNAL:
                raise ModelFailed from error
            raise
        return list(np.asarray(outputs["EMBEDDING"], np.float32))

    async def closeness(self, query: str, texts: Sequence[str]) -> list[float]:
        """See Comparer."""
        rows = {"TEXT": texts, "KIND": [Kind.PASSAGE.value] * len(texts), "QUERY": [query] * len(texts)}
        inputs = {name: _rows(values) for name, values in rows.items()}
        outputs = await self._model.infer(inputs, self._timeout_s)
        return [float(score) for score in outputs["CLOSENESS"].reshape(-1)]


def _rows(values: Sequence[str]) -> Tensor:
    return strings(*values).reshape(-1, 1)
