"""Every order in which servers may call what they share, with a server that dies or is broken off at any call.

Each server has its own view of what is shared, a Turns: every call waits there until it is its turn. `every_order`
plays a scene again and again, until each choice has been made in each state that can be reached.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

SETTLED = 15
"""After so many rounds of the event loop everybody waits for a turn, or has ended."""


@dataclass(eq=False)
class Step:
    """One call that is asked for, and not yet carried out."""

    server: "Turns"
    name: str
    run: Callable[[], Awaitable[Any]]
    answer: "asyncio.Future[Any]"


@dataclass(eq=False)
class Turns:
    """One server, as far as its calls go."""

    name: str
    waiting: list[Step]
    """Of all servers."""
    heard: list[Hashable] = field(default_factory=list)
    """All answers: who has heard the same is in the same state."""
    seen: Callable[[Any], Hashable] = repr
    """An answer as it is compared."""
    dead: bool = False
    work: "asyncio.Task[Any] | None" = None

    async def call(self, name: str, run: Callable[[], Awaitable[Any]]) -> Any:
        """What `run` answers, once it is its turn."""
        if self.dead:
            raise asyncio.CancelledError
        step = Step(self, name, run, asyncio.get_running_loop().create_future())
        self.waiting.append(step)
        return await step.answer

    async def take(self, step: Step) -> None:
        """Carry a call out; whoever asked for it may be gone."""
        self.waiting.remove(step)
        try:
            answer = await step.run()
        except Exception as error:  # noqa: BLE001 - it is the asker's
            self.heard.append((step.name, type(error).__name__))
            if not step.answer.done():
                step.answer.set_exception(error)
            return
        self.heard.append((step.name, self.seen(answer)))
        if not step.answer.done():
            step.answer.set_result(answer)

    def die(self) -> None:
        """Nothing more is done; what was asked for may yet be carried out."""
        self.dead = True
        self.heard.append("dead")

    def break_off(self) -> None:
        """Its work is cancelled; what was asked for may yet be carried out."""
        assert self.work is not None
        self.work.cancel()
        self.heard.append("broken off")

    @property
    def is_at_work(self) -> bool:
        return not self.dead and self.work is not None and not self.work.done()


class Scene(Protocol):
    """Servers at work on something that they share. Made anew for each order."""

    servers: list[Turns]
    waiting: list[Step]

    def begin(self) -> None:
        """Set each server's `work`."""

    def state(self) -> Hashable:
        """What they share."""

    def check(self) -> None:
        """Raise when the state must not be."""

    async def end(self) -> None:
        """Raise when what is left at the end must not be."""


class _Choices:
    """The choices of one order: those of a prefix, then the first each time."""

    def __init__(self, prefix: list[int]) -> None:
        self._prefix = prefix
        self.made: list[tuple[int, int]] = []
        """Which of how many."""

    @property
    def is_new(self) -> bool:
        """Whether no earlier order has come so far."""
        return len(self.made) >= len(self._prefix)

    def choose(self, count: int) -> int:
        place = len(self.made)
        chosen = self._prefix[place] if place < len(self._prefix) else 0
        self.made.append((chosen, count))
        return chosen

    def following(self) -> list[int] | None:
        """The prefix of the next order; None after the last."""
        made = list(self.made)
        while made and made[-1][0] == made[-1][1] - 1:
            made.pop()
        return [*(chosen for chosen, _ in made[:-1]), made[-1][0] + 1] if made else None


async def every_order(scene: Callable[[], Scene], faults: int = 1) -> int:
    """Play all orders with at most so many deaths and breaks; how many states there were."""
    seen: set[Hashable] = set()
    prefix: list[int] | None = []
    while prefix is not None:
        choices = _Choices(prefix)
        await _play(scene(), choices, faults, seen)
        prefix = choices.following()
    return len(seen)


async def _play(scene: Scene, choices: _Choices, faults: int, seen: set[Hashable]) -> None:
    story: list[str] = []
    scene.begin()
    try:
        while True:
            await _settled(scene)
            scene.check()
            state = (faults, scene.state(), tuple(tuple(server.heard) for server in scene.servers), _asked(scene))
            if choices.is_new and state in seen:
                return
            seen.add(state)
            options = list(_options(scene, faults))
            if not options:
                await scene.end()
                return
            what, server, step = options[choices.choose(len(options))]
            story.append(f"{server.name if server else ''} {what} {step.name if step else ''}")
            if what == "end":
                scene.waiting.clear()
            elif what == "calls":
                assert step is not None
                await step.server.take(step)
            else:
                faults -= 1
                assert server is not None
                server.die() if what == "dies" else server.break_off()
    except AssertionError as error:
        raise AssertionError("\n".join([str(error), *story])) from error
    finally:
        await _stop(scene)


async def _settled(scene: Scene) -> None:
    """Until every server waits for a turn, or has ended; one that was broken off may be at its last words."""
    for _ in range(SETTLED):
        await asyncio.sleep(0)
        asking = {id(step.server) for step in scene.waiting if not step.answer.done()}
        if all(id(server) in asking for server in scene.servers if server.is_at_work) and not any(
            "broken off" in server.heard for server in scene.servers if not server.dead
        ):
            return


def _options(scene: Scene, faults: int) -> Iterator[tuple[str, Turns | None, Step | None]]:
    for step in scene.waiting:
        yield "calls", step.server, step
    if scene.waiting and not any(server.is_at_work for server in scene.servers):
        yield "end", None, None  # what the dead have asked for may be lost on its way
    if faults:
        for server in scene.servers:
            if server.is_at_work:
                yield "dies", server, None
                yield "is broken off", server, None


def _asked(scene: Scene) -> Hashable:
    return tuple(sorted((step.server.name, step.name, step.answer.done()) for step in scene.waiting))


async def _stop(scene: Scene) -> None:
    for server in scene.servers:
        server.dead = True
    scene.waiting.clear()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
