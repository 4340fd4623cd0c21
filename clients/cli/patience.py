"""When to call again: only if the server says that it will soon be back."""

import asyncio
import random

import grpc

from clients.cli.refusal import Refusal

LONGEST_WAIT_S = 2.0
PATIENT_FOR_S = 6.0


class Patience:
    """The patience of one call: it waits as the server advises, PATIENT_FOR_S in all."""

    def __init__(self) -> None:
        self._left_s = PATIENT_FOR_S

    async def wait_or_raise(self, refusal: Refusal) -> None:
        """Returns when it is time to call again; raises `refusal` when it is final or patience has run out.

        A server that is full or a token that is wrong is final: only UNAVAILABLE with RetryInfo passes by itself.
        """
        advised_s = refusal.details.retry_after_s
        if refusal.code is not grpc.StatusCode.UNAVAILABLE or advised_s is None or self._left_s <= 0:
            raise refusal
        wait_s = min(advised_s, LONGEST_WAIT_S) * random.uniform(1.0, 1.2)
        self._left_s -= wait_s
        await asyncio.sleep(wait_s)
