"""Speech models that answer when a test lets them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from servers.asr.recognition import Hypothesis, Request, Word
from servers.common.errors import DependencyUnavailable


def heard(text: str, *, word_s: float = 1.0, logprob: float = -0.1, language: str = "vi") -> Hypothesis:
    """A hypothesis whose words last `word_s` seconds each, without gaps."""
    words = tuple(Word(word, n * word_s, (n + 1) * word_s, 0.9) for n, word in enumerate(text.split()))
    return Hypothesis(text, language, words, logprob, 0.0, 1.0, inference_s=0.01, worked_s=0.01)


def unsure(text: str, place: int) -> Hypothesis:
    """Words of half a second, of one of which, by its place, the model is unsure."""
    sure = heard(text, word_s=0.5)
    words = [replace(word, probability=0.3) if at == place else word for at, word in enumerate(sure.words)]
    return replace(sure, words=tuple(words))


@dataclass
class GatedRecognizer:
    """Answers each request when the test says so, the oldest first; `begun` has those that came."""

    answer: Hypothesis = field(default_factory=lambda: heard("a"))
    open: bool = False
    """Whether it answers at once."""
    failures: int = 0
    """How often it still fails, as a model that is away."""
    begun: list[Request] = field(default_factory=list)
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self._waiting: list[asyncio.Future[Hypothesis]] = []

    @property
    def marks(self) -> list[str]:
        """The contexts of the requests that came."""
        return [request.context for request in self.begun]

    @property
    def in_flight(self) -> int:
        """How many requests wait for their answer."""
        return sum(not waiting.done() for waiting in self._waiting)

    async def recognize(self, request: Request) -> Hypothesis:
        """See Recognizer."""
        self.begun.append(request)
        waiting: asyncio.Future[Hypothesis] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self.most_at_once = max(self.most_at_once, self.in_flight)
        if self.open or self.failures:
            await self.give()
        return await waiting

    async def check(self) -> None:
        """See Recognizer."""

    async def give(self, answer: Hypothesis | None = None) -> None:
        """Answer the oldest request, if there is one, and let whoever waits for it go on."""
        waiting = next((waiting for waiting in self._waiting if not waiting.done()), None)
        if waiting is not None and self.failures:
            self.failures -= 1
            waiting.set_exception(DependencyUnavailable("triton"))
        elif waiting is not None:
            waiting.set_result(answer or self.answer)
        await settled()


async def settled() -> None:
    """Let every task run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def come_true(condition: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.001)
