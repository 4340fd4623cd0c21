"""The search for a case that fails: rounds of cases for each method, each round with things that are there."""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Flaky, HypothesisWarning

from bench.fuzz import requests
from bench.fuzz.calls import Reaction
from bench.fuzz.cases import Case, Good, cases
from bench.fuzz.methods import Method
from bench.fuzz.values import Hints
from bench.fuzz.verdict import fault

ROUND = 40
"""So many cases are sent until what they have removed is made anew."""

Send = Callable[[Method, Case], Reaction]


@dataclass(frozen=True)
class Finding:
    """Something that must not be."""

    method: str
    """The rpc, or where else it was seen."""
    why: str
    case: str = ""
    """The smallest case that was found to do it; empty when it belongs to no single one."""
    again: bool = True
    """Whether the same case did it again."""

    def __str__(self) -> str:
        return (
            f"{self.method}: {self.why}"
            + (f"\n    {self.case}" if self.case else "")
            + ("" if self.again else "\n    (not each time)")
        )


@dataclass
class Tally:
    """What came of one method's cases."""

    method: Method
    codes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """How many were sent, those that made a failing one smaller included."""
        return self.codes.total()


class Failed(AssertionError):
    """A case whose reaction is a fault."""


@dataclass
class Round:
    """Cases of one method with one seed."""

    tally: Tally
    good: Good
    hints: Hints
    send: Send
    _last: Finding | None = None

    def run(self, count: int, number: int) -> None:
        """Draw `count` cases and send them; a case that fails is made as small as it can be, and ends the round."""

        @seed(number)
        @settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
            report_multiple_bugs=False,
        )
        @given(cases(self.tally.method, self.good, self.hints))
        def one(case: Case) -> None:
            self._judge(case)

        try:
            with warnings.catch_warnings():
                # That what it would print, but does not, is long: cases of many megabytes are meant to be among them.
                warnings.simplefilter("ignore", HypothesisWarning)
                one()
        except Failed:
            self._found(again=True)
        except Flaky:
            self._found(again=False)

    def _judge(self, case: Case) -> None:
        reaction = self.send(self.tally.method, case)
        self.tally.codes[reaction.code] += 1
        if why := fault(self.tally.method, case, reaction):
            self._last = Finding(self.tally.method.name, why, str(case))
            raise Failed(why)

    def _found(self, again: bool) -> None:
        assert self._last is not None
        self.tally.findings.append(Finding(self._last.method, self._last.why, self._last.case, again))


def rounds(share: int) -> Sequence[int]:
    """How many cases each round of a method has that is to have `share` of them."""
    whole, rest = divmod(share, ROUND)
    return [ROUND] * whole + ([rest] if rest else [])


def shares(cases: int, methods: Sequence[Method]) -> list[int]:
    """How many of `cases` each method gets: equally many, but for the remainder."""
    each, over = divmod(cases, len(methods))
    return [each + (number < over) for number in range(len(methods))]


@dataclass(frozen=True)
class Fuzzing:
    """One run over all methods."""

    send: Send
    refresh: Callable[[], None]
    """Called before each round."""
    seen: Callable[[], Sequence[str]]
    """What else has happened since it was last asked that must not."""

    def run(self, methods: Sequence[Method], count: int, number: int, told: Callable[[Tally], None]) -> list[Tally]:
        """Send `count` cases in all, drawn from the seed `number`; a method that has failed gets no further round."""
        good, hints = requests.good(), requests.hints()
        tallies = []
        for place, (method, share) in enumerate(zip(methods, shares(count, methods), strict=True)):
            tally = Tally(method)
            tallies.append(tally)
            for turn, size in enumerate(rounds(share)):
                self.refresh()
                Round(tally, good[method.name], hints, self.send).run(size, number * 1_000_003 + place * 1_009 + turn)
                told(tally)
                tally.findings += [Finding(method.name, line) for line in self.seen()]
                if tally.findings:
                    break
        return tallies
