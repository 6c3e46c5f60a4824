"""The charts of the Learning page, each with a sentence that says what it shows.

Imports pyqtgraph, so nothing imports this before the page is opened.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyqtgraph as pg
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QVBoxLayout, QWidget

from plum_desktop.app.curves import DRIFT_BOUND, History, RecallLine
from plum_desktop.ui.base import words
from plum_desktop.ui.base.controls import label, small
from plum_desktop.ui.base.theme import Theme, current_theme, scaled, text_font

_HEIGHT = 190
_MOST_TICKS = 6
_NARROW = 640  # below this width, charts stand below each other
_SOLID, _DASHED = Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine

Point = tuple[float, float]


class _Plot(pg.PlotWidget):  # type: ignore[misc]
    """Lines to look at: nothing is dragged or zoomed, and the wheel scrolls the page."""

    def __init__(self) -> None:
        super().__init__(antialias=True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMenuEnabled(False)
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.getPlotItem().setContentsMargins(0, 4, 12, 0)
        for side in ("bottom", "left"):  # before they have labels, or figures come in thousandths
            self.getAxis(side).enableAutoSIPrefix(False)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def dress(self, theme: Theme, across: str, up: str) -> None:
        """Colours and fonts of the theme, and the axes in words."""
        self.setFixedHeight(scaled(_HEIGHT))
        self.setBackground(QColor(theme.surface))
        for side, text in (("bottom", across), ("left", up)):
            axis = self.getAxis(side)
            axis.setPen(QColor(theme.line))
            axis.setTextPen(QColor(theme.muted))
            axis.setStyle(tickFont=text_font(12), tickLength=-4)
            axis.setLabel(text, color=theme.muted, **{"font-size": f"{scaled(12)}px"})

    def line(
        self, points: Sequence[Point], colour: str, *, width: float = 2.0,
        style: Qt.PenStyle = _SOLID, mark: str | None = None,
    ) -> None:  # fmt: skip
        self.plot(
            [x for x, _ in points], [y for _, y in points],
            pen=pg.mkPen(QColor(colour), width=width, style=style),
            symbol=mark, symbolSize=7, symbolPen=None, symbolBrush=QColor(colour),
        )  # fmt: skip


class Chart(QFrame):
    """A title, what the chart says in a sentence, and the chart; without data the sentence alone.

    A subclass draws, and names its axes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 12, 16, 12)
        box.setSpacing(6)
        self._title = label(pixels=14, bold=True)
        box.addWidget(self._title)
        self.summary = small(wrap=True)
        box.addWidget(self.summary)
        self.key = small(wrap=True)
        self.key.setTextFormat(Qt.TextFormat.RichText)
        box.addWidget(self.key)
        self.plot = _Plot()
        box.addWidget(self.plot)
        box.addStretch(1)

    def set_title(self, title: str) -> None:
        self._title.setText(title)
        self.plot.setAccessibleName(title)
        self.setAccessibleName(title)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self.redraw()

    def redraw(self) -> None:
        theme = current_theme()
        self.plot.clear()
        self.plot.dress(theme, *self._axes())
        text, key = self._draw(theme)
        self.summary.setText(text)
        self.plot.setAccessibleDescription(text)
        self.setAccessibleDescription(text)
        self.plot.setVisible(bool(key))
        self.key.setVisible(bool(key))
        self.key.setText(" &nbsp; &nbsp; &nbsp;".join(key))

    def _axes(self) -> tuple[str, str]:
        raise NotImplementedError

    def _draw(self, theme: Theme) -> tuple[str, list[str]]:
        """Draw on the bare plot; the summary, and the entries of the key (none: no data)."""
        raise NotImplementedError


def _entry(sign: str, colour: str, text: str) -> str:
    return f'<span style="color:{colour}">{sign}</span>&nbsp;{text}'


class RunChart(Chart):
    """A chart over the runs, with one of them chosen."""

    def __init__(self) -> None:
        super().__init__()
        self._history = History()
        self._chosen: str | None = None

    def set_history(self, history: History, chosen: str | None) -> None:
        self._history, self._chosen = history, chosen
        self.redraw()

    def _tick_runs(self) -> None:
        """Dates below the runs, as many as there is room for."""
        count = len(self._history.runs)
        every = max(1, -(-count // _MOST_TICKS))
        days = [words.day(created) for created in self._history.created]
        self.plot.getAxis("bottom").setTicks(
            [[(at, day) for at, day in enumerate(days) if (count - 1 - at) % every == 0]]
        )
        self.plot.setXRange(-0.4, max(0.4, count - 0.6), padding=0)


class RecallChart(RunChart):
    """How well each run's chats are remembered after it and after every later run."""

    def __init__(self) -> None:
        super().__init__()
        self.set_title(self.tr("Remembered over the runs"))

    def _axes(self) -> tuple[str, str]:
        return self.tr("After the run of"), self.tr("Right answers, %")

    def _draw(self, theme: Theme) -> tuple[str, list[str]]:
        history = self._history
        if not history.runs:
            return self.tr("No run has been switched on yet, so there is nothing to draw."), []
        self.plot.setYRange(0, 100, padding=0.04)
        self._tick_runs()
        chosen = history.line(self._chosen)
        others = [line for line in history.recall if line is not chosen]
        for line in others:
            self.plot.line(self._points(line, "yes"), theme.edge, width=1)
            self.plot.line(self._points(line, "no"), theme.edge, width=1, style=_DASHED)
        key = []
        if chosen:
            yes, no = self._points(chosen, "yes"), self._points(chosen, "no")
            self.plot.line(yes, theme.accent, mark="o")
            self.plot.line(no, theme.good, mark="s", style=_DASHED)
            key = [
                _entry("●", theme.accent, self.tr("yes to what was said")),
                _entry("■", theme.good, self.tr("no to what never was")),
            ]
        if others:
            key.append(_entry("─", theme.edge, self.tr("chats of other runs")))
        return self._say(chosen), key

    def _points(self, line: RecallLine, kind: str) -> list[Point]:
        places = {run_id: at for at, run_id in enumerate(self._history.runs)}
        shares = [(places[point.run_id], getattr(point, kind)) for point in line.points]
        return [(at, 100 * share) for at, share in shares if share is not None]

    def _say(self, chosen: RecallLine | None) -> str:
        if chosen is None:
            return self.tr("Choose a run that was switched on to see what became of its chats.")
        first, last = chosen.points[0], chosen.points[-1]
        text = self.tr("Right after learning {chats}: yes {yes}, no {no}.").format(
            chats=words.chats(chosen.chats), yes=_share(first.yes), no=_share(first.no)
        )
        if last is not first:
            day = words.day(self._history.created[self._history.runs.index(last.run_id)])
            after = self.tr("After the run of {day}: yes {yes}, no {no}.")
            return f"{text} {after.format(day=day, yes=_share(last.yes), no=_share(last.no))}"
        return f"{text} " + self.tr("No later run has asked about these chats again.")


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


class DriftChart(RunChart):
    """How much answers to anything else have changed, against the base model."""

    def __init__(self) -> None:
        super().__init__()
        self.set_title(self.tr("Change of other answers"))

    def _axes(self) -> tuple[str, str]:
        return self.tr("After the run of"), self.tr("Change (KL)")

    def _draw(self, theme: Theme) -> tuple[str, list[str]]:
        measured = [
            (float(at), drift) for at, drift in enumerate(self._history.drift) if drift is not None
        ]
        if not measured:
            return self.tr("No run has measured this yet."), []
        self._tick_runs()
        self.plot.setYRange(0, max(DRIFT_BOUND, *(y for _, y in measured)) * 1.1, padding=0)
        self.plot.addItem(
            pg.InfiniteLine(
                DRIFT_BOUND, angle=0, pen=pg.mkPen(QColor(theme.danger), width=1, style=_DASHED)
            )
        )
        self.plot.line(measured, theme.accent, mark="o")
        text = self.tr("After the newest run {newest:.3f}; from {bound:.2f} on a run is refused.")
        key = [
            _entry("●", theme.accent, self.tr("measured")),
            _entry("┅", theme.danger, self.tr("too much")),
        ]
        return text.format(newest=measured[-1][1], bound=DRIFT_BOUND), key


class LossChart(Chart):
    """What learning still got wrong, step by step: the run in progress and the chosen one."""

    def __init__(self) -> None:
        super().__init__()
        self.set_title(self.tr("Loss while learning"))
        self._live: Sequence[Point] = ()
        self._kept: Sequence[Point] = ()

    def set_curves(self, live: Sequence[Point], kept: Sequence[Point]) -> None:
        self._live, self._kept = live, kept
        self.redraw()

    def _axes(self) -> tuple[str, str]:
        return self.tr("Steps"), self.tr("Loss, lower is better")

    def _draw(self, theme: Theme) -> tuple[str, list[str]]:
        said, key = [], []
        self.plot.enableAutoRange()
        self.plot.setLimits(yMin=0)
        if self._kept:
            self.plot.line(self._kept, theme.muted if self._live else theme.accent)
            said.append(self._say(self.tr("The chosen run"), self._kept))
            key.append(
                _entry("━", theme.muted if self._live else theme.accent, self.tr("chosen run"))
            )
        if self._live:
            self.plot.line(self._live, theme.accent)
            said.insert(0, self._say(self.tr("The run in progress"), self._live))
            key.insert(0, _entry("━", theme.accent, self.tr("in progress")))
        return " ".join(said) or self.tr("This run kept no curve of its loss."), key

    def _say(self, which: str, curve: Sequence[Point]) -> str:
        (_, first), (steps, last) = curve[0], curve[-1]
        text = self.tr("{which}: from {first:.2f} to {last:.2f} in {steps} steps.")
        return text.format(which=which, first=first, last=last, steps=words.number(int(steps)))


class Charts(QWidget):
    """All three, side by side where there is room."""

    def __init__(self) -> None:
        super().__init__()
        self.recall, self.drift, self.loss = RecallChart(), DriftChart(), LossChart()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(12)
        box.addWidget(self.recall)
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._row.setSpacing(12)
        self._row.addWidget(self.drift, 1)
        self._row.addWidget(self.loss, 1)
        box.addLayout(self._row)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        way, narrow = QBoxLayout.Direction, self.width() < scaled(_NARROW)
        self._row.setDirection(way.TopToBottom if narrow else way.LeftToRight)
