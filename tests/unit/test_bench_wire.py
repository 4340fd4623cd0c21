"""Calls on a bare connection are answered as those of grpcio are."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
import uvloop

from bench.wire import Status, Wire

METHOD = "/test.Echo/Say"
TOKEN = "Bearer " + "x" * 900


class Echo(grpc.GenericRpcHandler):
    """Answers a request with itself, and notes it with the headers; `refuse …` is refused, with a long sentence."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, str]] = []

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._say) if details.method == METHOD else None

    async def _say(self, request: bytes, context: Any) -> bytes:
        headers = dict(context.invocation_metadata())
        self.heard.append((request, headers["authorization"]))
        if request.startswith(b"refuse"):
            await context.abort(grpc.StatusCode.ABORTED, request.decode())
        return request * 1000


@asynccontextmanager
async def serving(echo: Echo) -> AsyncIterator[str]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((echo,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def said(wire: Wire, requests: Sequence[bytes]) -> list[Status]:
    """The status of each request, all of them sent at once."""
    loop = asyncio.get_running_loop()
    answers = [loop.create_future() for _ in requests]
    for request, answer in zip(requests, answers, strict=True):
        wire.call(request, answer.set_result)
    return list(await asyncio.wait_for(asyncio.gather(*answers), 20))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_each_call_is_answered_with_its_own_status(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    run(answered_each())


async def answered_each() -> None:
    echo = Echo()
    requests = [b"refuse %d" % number if number % 3 == 0 else b"say %d" % number for number in range(200)]
    async with serving(echo) as target:
        wire = await Wire.connected(target, METHOD, [("authorization", TOKEN)])
        statuses = [status for begin in range(0, 200, 50) for status in await said(wire, requests[begin : begin + 50])]
        wire.close()
    assert sorted(echo.heard) == sorted((request, TOKEN) for request in requests)
    for request, status in zip(requests, statuses, strict=True):
        refused = request.startswith(b"refuse")
        assert status == (Status("ABORTED", request.decode()) if refused else Status("OK"))


async def test_a_method_that_is_not_there_is_unimplemented() -> None:
    async with serving(Echo()) as target:
        wire = await Wire.connected(target, "/test.Echo/Shout", [("authorization", TOKEN)])
        (status,) = await said(wire, [b"a"])
        wire.close()
    assert status.code == "UNIMPLEMENTED"


async def test_a_lost_connection_ends_what_is_under_way() -> None:
    heard = asyncio.Event()

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard.wait()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        wire = await Wire.connected(f"127.0.0.1:{port}", METHOD, [])
        waiting = asyncio.create_task(said(wire, [b"a", b"b"]))
        await asyncio.sleep(0)
        heard.set()
        assert [status.code for status in await waiting] == ["UNAVAILABLE", "UNAVAILABLE"]


def test_headers_that_do_not_fit_the_table_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Wire("a:1", METHOD, [("authorization", "x" * 4000)])
