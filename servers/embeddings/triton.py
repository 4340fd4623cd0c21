"""The model `embedder` on Triton as the Encoder of the domain; see triton_models/embedder for its tensors."""

import grpc
import numpy as np

from servers.common.triton import TritonModel, strings
from servers.embeddings.embedding import Kind, Vector


class TritonEncoder:
    """One request a text; `timeout_s` counts waiting in Triton's queue."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        self._model = TritonModel(channel, "embedder")
        self._timeout_s = timeout_s

    async def check(self) -> None:
        """Raise DependencyUnavailable when the model is not ready."""
        await self._model.check()

    async def encode(self, text: str, kind: Kind) -> Vector:
        """See Encoder."""
        outputs = await self._model.infer({"TEXT": strings(text), "KIND": strings(kind.value)}, self._timeout_s)
        return np.asarray(outputs["EMBEDDING"][0], np.float32)
