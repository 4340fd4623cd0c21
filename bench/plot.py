"""A line plot with logarithmic axes as SVG, legible on light and on dark pages."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 72, 190, 44, 56
COLOURS = ("#2563eb", "#d97706", "#059669", "#db2777")
"""Of middle lightness, so that they stand out from white and from black."""
STEPS = (1, 2, 5)

_STYLE = """
    text { font: 13px Helvetica, Arial, sans-serif; fill: #334155 }
    .title { font-size: 15px; font-weight: 600 }
    .grid { stroke: #94a3b8; stroke-opacity: .35 }
    .limit { stroke: #dc2626; stroke-dasharray: 6 4 } .limit-name { fill: #dc2626 }
    .line { fill: none; stroke-width: 2.5 } .open { fill: none; stroke-width: 2 }
    @media (prefers-color-scheme: dark) { text { fill: #cbd5e1 } .limit-name { fill: #f87171 } }"""


@dataclass(frozen=True)
class Line:
    """One way of doing it: a value for each x."""

    name: str
    points: Sequence[tuple[float, float]]
    hollow: frozenset[float] = frozenset()
    """The x at which something was refused: drawn as open circles."""


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis that begins and ends at 1, 2 or 5 times a power of ten."""

    low: float
    high: float
    start: float
    end: float
    """Pixels."""

    @classmethod
    def around(cls, values: Iterable[float], start: float, end: float) -> "Axis":
        """One on which all the values lie."""
        kept = list(values)
        ticks = _ticks()
        low = max(tick for tick in ticks if tick <= min(kept))
        high = min(tick for tick in ticks if tick >= max(max(kept), low * 2))
        return cls(low, high, start, end)

    def at(self, value: float) -> float:
        """Where the value lies, in pixels."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 1)

    @property
    def ticks(self) -> list[float]:
        """The values that are named on it."""
        return [tick for tick in _ticks() if self.low <= tick <= self.high]


def drawn(title: str, x_name: str, y_name: str, lines: Sequence[Line], limit: tuple[float, str]) -> str:
    """The whole SVG file. `limit` is a value of y to draw across, and its name. Lines without points are left out."""
    shown = [line for line in lines if line.points]
    xs = Axis.around((x for line in shown for x, _ in line.points), LEFT, WIDTH - RIGHT)
    ys = Axis.around([limit[0], *(y for line in shown for _, y in line.points)], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"  <title>{escape(title)}</title>\n  <style>{_STYLE}\n  </style>",
        _text(LEFT, 24, title, kind="title"),
        *_grid(xs, ys),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, x_name, "middle"),
        f'  <g transform="translate(18 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)">{_text(0, 0, y_name, "middle")}</g>',
        f'  <path class="limit" d="M{LEFT} {ys.at(limit[0])}H{WIDTH - RIGHT}"/>',
        _text(WIDTH - RIGHT + 8, ys.at(limit[0]) + 4, limit[1], kind="limit-name"),
        *(_line(line, colour, xs, ys) for line, colour in zip(shown, COLOURS, strict=False)),
        *_names(shown, ys, avoid=ys.at(limit[0])),
        *([_text(WIDTH - RIGHT + 8, HEIGHT - 14, "○ some were refused")] if any(line.hollow for line in shown) else []),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _ticks() -> list[float]:
    return [step * 10.0**power for power in range(-3, 9) for step in STEPS]


def _grid(xs: Axis, ys: Axis) -> Iterable[str]:
    for tick in xs.ticks:
        yield f'  <path class="grid" d="M{xs.at(tick)} {TOP}V{HEIGHT - BOTTOM}"/>'
        yield _text(xs.at(tick), HEIGHT - BOTTOM + 20, f"{tick:g}", "middle")
    for tick in ys.ticks:
        yield f'  <path class="grid" d="M{LEFT} {ys.at(tick)}H{WIDTH - RIGHT}"/>'
        yield _text(LEFT - 8, ys.at(tick) + 4, f"{tick:,.0f}".replace(",", " "), "end")


def _line(line: Line, colour: str, xs: Axis, ys: Axis) -> str:
    places = [(xs.at(x), ys.at(y), x in line.hollow) for x, y in line.points]
    path = "L".join(f"{x} {y}" for x, y, _ in places)
    dots = "".join(
        f'<circle cx="{x}" cy="{y}" r="4" ' + (f'class="open" stroke="{colour}"/>' if hollow else f'fill="{colour}"/>')
        for x, y, hollow in places
    )
    return f'  <path class="line" stroke="{colour}" d="M{path}"/>{dots}'


def _names(lines: Sequence[Line], ys: Axis, avoid: float) -> Iterable[str]:
    """Beside the end of each line, from above to below, 18 pixels apart and clear of the limit's name."""
    coloured = sorted(zip(lines, COLOURS, strict=False), key=lambda pair: ys.at(pair[0].points[-1][1]))
    lowest = 0.0
    for line, colour in coloured:
        place = max(ys.at(line.points[-1][1]), lowest)
        if abs(place - avoid) < 18:
            place = avoid + 18
        lowest = place + 18
        yield _text(WIDTH - RIGHT + 8, place + 4, line.name, colour=colour)


def _text(x: float, y: float, words: str, anchor: str = "start", kind: str = "", colour: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    painted = f' style="fill:{colour}"' if colour else ""
    return f'  <text x="{x}" y="{y}" text-anchor="{anchor}"{named}{painted}>{escape(words)}</text>'
