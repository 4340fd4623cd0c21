"""The nlp server in this process behind a real port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from ai2text.nlp.v1.text_service_pb2_grpc import TextServiceStub

from servers.common import lifecycle
from servers.nlp import service
from servers.nlp.accents import Lexicon
from servers.nlp.refinement import Refiner
from servers.nlp.workers import Workers

LEXICON = Lexicon({"tôi": 0.02, "đi": 0.02, "học": 0.01, "việt": 0.003, "nam": 0.002}, [["đi", "học"], ["việt", "nam"]])


@asynccontextmanager
async def nlp(workers: Workers | None = None, lexicon: Lexicon | None = LEXICON) -> AsyncIterator[TextServiceStub]:
    """The stub of a running nlp server."""
    with workers or Workers(2, 8, 20) as working:
        server, _, _ = lifecycle.build([service.mount(Refiner(lexicon), working)])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield TextServiceStub(channel)
        finally:
            await server.stop(None)
