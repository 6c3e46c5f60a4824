"""Draw what `plum-desktop bench growth --json` told: a small chart a measure, as one SVG.

    .venv/bin/plum-desktop bench growth --json >growth.jsonl
    .venv/bin/python scripts/draw_growth.py growth.jsonl docs/pictures/growth.svg

Every chart has the same two logarithmic axes, so that the same slope is the same growth: across
how many conversations were learned, up how many times as much as with the fewest.  Colours are
read on light and on dark pages alike.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

Points = Mapping[int, tuple[float, float]]  # by conversations: the measure, and its ratio

_COLUMNS = 4
_WIDTH, _HEIGHT = 140, 102  # of a chart's field
_LEFT, _TOP = 40, 52  # of the first field, from the picture's edge
_APART, _BELOW = 80, 54  # between fields; the last figures stand right of theirs
_UPPER, _LOWER = 10, 22  # in a field, above and below what is drawn
_INK, _CURVE = "#767676", "#a05cc0"
_STYLE = f"""
text {{ font: 11px system-ui, -apple-system, "Segoe UI", sans-serif; fill: {_INK} }}
.name {{ font-weight: 600; font-size: 12px }}
.field {{ stroke: {_INK}; stroke-opacity: .25; fill: none }}
.even {{ stroke: {_INK}; stroke-dasharray: 2 4; fill: none }}
.curve {{ stroke: {_CURVE}; stroke-width: 2; fill: none }}
.point {{ fill: {_CURVE} }}
"""


def measures(lines: Iterable[str]) -> dict[str, tuple[str, Points]]:
    """The unit and the points of each measure, by its name, in the order they were told."""
    found: dict[str, tuple[str, dict[int, tuple[float, float]]]] = {}
    for line in lines:
        told: dict[str, Any] = json.loads(line)
        if told.get("bench") == "growth" and "chats" in told:
            _, points = found.setdefault(told["what"], (told["unit"], {}))
            points[told["chats"]] = told["ours"], told["ratio"] or 1.0
    return {name: (unit, dict(sorted(points.items()))) for name, (unit, points) in found.items()}


def picture(told: Mapping[str, tuple[str, Points]]) -> Element:
    """The whole SVG.  Raises SystemExit where there is nothing to draw."""
    sizes = sorted({chats for _, points in told.values() for chats in points})
    if len(sizes) < 2:
        raise SystemExit("There is no growth in this; give the lines of `bench growth --json`.")
    rows = -(-len(told) // _COLUMNS)
    width = _LEFT + _COLUMNS * (_WIDTH + _APART) - 14
    height = _TOP + rows * (_HEIGHT + _BELOW) - 12
    svg = Element(
        "svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}",
        width=str(width), height=str(height), role="img",
    )  # fmt: skip
    _add(svg, "title").text = "What grows with the conversations learned before"
    _add(svg, "style").text = _STYLE
    _key(svg)
    scale = _Scale(sizes, [ratio for _, points in told.values() for _, ratio in points.values()])
    for number, (name, (unit, points)) in enumerate(told.items()):
        down, across = divmod(number, _COLUMNS)
        place = (
            f"translate({_LEFT + across * (_WIDTH + _APART)} {_TOP + down * (_HEIGHT + _BELOW)})"
        )
        chart = _add(svg, "g", transform=place)
        _draw(chart, name, unit, points, scale)
    return svg


class _Scale:
    """Where a number of conversations, and a ratio, stand in a field."""

    def __init__(self, sizes: Sequence[int], ratios: Sequence[float]) -> None:
        self.sizes = sizes
        self._first, self._decades = math.log10(sizes[0]), math.log10(sizes[-1] / sizes[0])
        self._low = min(0.0, *(math.log10(ratio) for ratio in ratios))
        self._high = max(self._decades, *(math.log10(ratio) for ratio in ratios))

    def x(self, chats: int) -> float:
        return round(8 + (_WIDTH - 12) * (math.log10(chats) - self._first) / self._decades, 1)

    def y(self, ratio: float) -> float:
        share = (math.log10(ratio) - self._low) / (self._high - self._low)
        return round(_HEIGHT - _LOWER - (_HEIGHT - _LOWER - _UPPER) * share, 1)

    def whole(self) -> list[float]:
        """The powers of ten that are in the field."""
        return [10.0**power for power in range(math.ceil(self._low), int(self._high) + 1)]


def _draw(chart: Element, name: str, unit: str, points: Points, scale: _Scale) -> None:
    _text(chart, 0, -8, name[:1].upper() + name[1:], kind="name")
    for ratio in scale.whole():
        at = scale.y(ratio)
        _add(chart, "path", "field", d=f"M0 {at}H{_WIDTH}")
        _text(chart, -6, at + 4, f"×{ratio:g}", "end")
    for chats in scale.sizes:
        _text(chart, scale.x(chats), _HEIGHT + 14, f"{chats:,}", "middle")
    ends = scale.sizes[0], scale.sizes[-1]
    even = " ".join(f"{scale.x(chats)},{scale.y(chats / ends[0])}" for chats in ends)
    _add(chart, "polyline", "even", points=even)
    places = [(scale.x(chats), scale.y(ratio)) for chats, (_, ratio) in points.items()]
    drawn = " ".join(f"{x},{y}" for x, y in places)
    _add(chart, "polyline", "curve", points=drawn)
    for (x, y), (value, _), chats in zip(places, points.values(), points, strict=True):
        _add(chart, "circle", "point", cx=x, cy=y, r=3)
        if chats == ends[1]:
            _text(chart, x + 8, y + 4, amount(value, unit))
        else:  # where a curve that rises leaves room
            _text(chart, x - 4, y + 16, amount(value, unit))


def amount(value: float, unit: str) -> str:
    """A measure as people say it, three digits at most."""
    seconds = {"ms": value / 1000, "s": value}.get(unit)
    if seconds is not None:
        value, unit = (
            (seconds / 60, "min") if seconds >= 120
            else (seconds, "s") if seconds >= 1
            else (seconds * 1000, "ms")
        )  # fmt: skip
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.{2 if value < 1 else 3}g}"
    return f"{shown} {unit}".strip()


def _key(svg: Element) -> None:
    _add(svg, "path", "curve", d=f"M{_LEFT} 14h24")
    _text(svg, _LEFT + 30, 18, "measured, by conversations learned before")
    _add(svg, "path", "even", d=f"M{_LEFT + 280} 14h24")
    _text(svg, _LEFT + 310, 18, "what would grow as their number does")


def _text(
    parent: Element, x: float, y: float, text: str, anchor: str = "start", kind: str = ""
) -> None:
    _add(parent, "text", kind, x=f"{x:g}", y=f"{y:g}", **{"text-anchor": anchor}).text = text


def _add(parent: Element, tag: str, kind: str = "", **attributes: object) -> Element:
    """A new element of this class."""
    given = {name: str(value) for name, value in attributes.items()}
    return ElementTree.SubElement(parent, tag, {"class": kind, **given} if kind else given)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lines", type=Path, help="what the bench printed")
    parser.add_argument("picture", type=Path, help="the SVG to write")
    given = parser.parse_args()
    svg = picture(measures(given.lines.read_text("utf-8").splitlines()))
    ElementTree.indent(svg)
    given.picture.write_text(ElementTree.tostring(svg, encoding="unicode") + "\n", "utf-8")


if __name__ == "__main__":
    main()
