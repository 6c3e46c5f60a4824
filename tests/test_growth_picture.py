"""What `bench growth` tells becomes a picture with every point of every measure."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "draw_growth.py"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_growth", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def told(what: str, unit: str, *values: float) -> list[str]:
    return [
        json.dumps({
            "bench": "growth", "what": what, "unit": unit, "chats": chats, "ours": value,
            "ratio": None if value is values[0] else value / values[0],
        })
        for chats, value in zip((10, 100, 1000), values, strict=True)
    ]  # fmt: skip


def test_one_curve_a_measure_and_every_point_on_it(
    drawing: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, out = tmp_path / "lines", tmp_path / "growth.svg"
    rows = [
        json.dumps({"bench": "growth", "cores": 2}), *told("search", "ms", 0.5, 2.0, 1400.0),
        *told("merge <all>", "s", 2.0, 1.9, 2.1), *told("tokens", "", 826.0, 827.0, 825.0),
        *told("list", "ms", 0.1, 1.0, 10.0), *told("write", "ms", 1.0, 0.01, 1.0),
    ]  # fmt: skip
    lines.write_text("\n".join(rows))
    monkeypatch.setattr(sys, "argv", ["draw", str(lines), str(out)])
    drawing.main()
    assert "nan" not in out.read_text("utf-8").lower()
    root = ElementTree.parse(out).getroot()
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    charts = root.findall(f"{SVG}g")
    assert len(charts) == 5
    for chart in charts:
        (curve,) = (each for each in chart.iter(f"{SVG}polyline") if each.get("class") == "curve")
        points = [tuple(map(float, pair.split(","))) for pair in curve.attrib["points"].split()]
        circles = [
            (float(each.attrib["cx"]), float(each.attrib["cy"]))
            for each in chart.iter(f"{SVG}circle")
        ]
        assert points == circles
        assert len(points) == 3
        left, top = map(float, chart.attrib["transform"][len("translate(") : -1].split())
        assert all(0 < left + x < width and 0 < top + y < height for x, y in points)
    said = [each.text for each in charts[0].iter(f"{SVG}text")]
    assert {"Search", "0.5 ms", "2 ms", "1.4 s", "10", "100", "1,000", "×1", "×100"} <= set(said)
    # The same scale for all: what grows as the conversations do lies on the dashed line.
    flat, even = ([float(c.attrib["cy"]) for c in charts[n].iter(f"{SVG}circle")] for n in (2, 3))
    assert max(flat) - min(flat) < 1
    (dashed,) = (e for e in charts[3].iter(f"{SVG}polyline") if e.get("class") == "even")
    ends = [float(pair.split(",")[1]) for pair in dashed.attrib["points"].split()]
    assert ends == [even[0], even[2]]


def test_lines_of_another_bench_are_no_picture(drawing: ModuleType) -> None:
    with pytest.raises(SystemExit, match="no growth"):
        drawing.picture(drawing.measures(['{"bench": "merge", "what": "merge", "ours": 1}']))


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.0561, "ms", "0.056 ms"), (5.64, "ms", "5.64 ms"), (153.2, "ms", "153 ms"),
        (1234.0, "ms", "1.23 s"), (0.0862, "s", "86.2 ms"), (330.0, "s", "5.5 min"),
        (826.4, "", "826"), (10.0, "s", "10 s"),
    ],
)  # fmt: skip
def test_an_amount_as_people_say_it(
    drawing: ModuleType, value: float, unit: str, said: str
) -> None:
    assert drawing.amount(value, unit) == said
