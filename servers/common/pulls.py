"""Takes the messages of a durable pull consumer as they come.

The client of NATS has a `fetch` of its own, which asks twice for each handful and waits for each message in a task of
its own: under many small events that was a large part of what a consumer cost.
"""

import asyncio
import json
from collections import deque
from collections.abc import Sequence

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import Header

LATE_S = 1.0
"""How long after its end an order is still waited for: JetStream says that it is over, unless it has forgotten it."""


class Pull:
    """One order at a time: what it brings is taken before there is another. So what waits here is never more than that,
    and another replica gets the rest."""

    def __init__(self, client: Client, stream: str, durable: str) -> None:
        self._client = client
        self._orders = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None
        self._come: deque[Msg] = deque()
        self._open = 0
        """How many messages the order may still bring."""
        self._news = asyncio.Event()

    async def begin(self) -> None:
        """Listen for what will be ordered."""
        self._subscription = await self._client.subscribe(self._inbox, cb=self._take)

    async def end(self) -> None:
        """Listen no more: JetStream delivers what it has still to bring elsewhere."""
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    def left(self) -> Sequence[Msg]:
        """What has come, and was not taken: once, and when it has ended."""
        left, self._come = list(self._come), deque()
        return left

    async def next(self, most: int, timeout_s: float) -> Sequence[Msg]:
        """What has come, in its order, `most` messages at most; it waits for the first, `timeout_s` seconds and a
        moment at most. Empty when none came in time."""
        if not self._come:
            self._news.clear()  # before the order: what that brings may be here before it is sent for good
            if not self._open:
                await self._order(most, timeout_s)
            try:
                async with asyncio.timeout(timeout_s + LATE_S):
                    await self._news.wait()
            except TimeoutError:
                self._open = 0
        return [self._come.popleft() for _ in range(min(most, len(self._come)))]

    async def _order(self, count: int, timeout_s: float) -> None:
        self._open = count
        order = {"batch": count, "expires": int(timeout_s * 1_000_000_000)}
        await self._client.publish(self._orders, json.dumps(order).encode(), reply=self._inbox)

    async def _take(self, message: Msg) -> None:
        if message.headers and Header.STATUS in message.headers:  # the order is over, for whatever reason
            self._open = 0
        else:
            self._open = max(0, self._open - 1)
            self._come.append(message)
        self._news.set()
