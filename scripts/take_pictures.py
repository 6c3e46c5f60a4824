"""Take the pictures of the window that are in docs/pictures, anew.

    .venv/bin/python scripts/take_pictures.py [--only NAME]... [FOLDER]

The chats are `sample_chats.py`, and what was learned from them is invented: no model is loaded.
Needs no display.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("QT_SCALE_FACTOR", "2")  # sharp on any screen

import numpy as np
from PySide6.QtCore import QEventLoop, QLocale, Qt, QTimer
from PySide6.QtGui import QImage, qRgb
from PySide6.QtWidgets import QApplication
from sample_chats import CODE, HEBREW, PORTO, SAMPLES, Sample

from plum_desktop.app.compare import Stopper, Way
from plum_desktop.app.product import Plum
from plum_desktop.base.paths import open_data_folder
from plum_desktop.base.types import Adapter, Fact, Run
from plum_desktop.ui.application import make_application
from plum_desktop.ui.base.theme import apply_text_size, apply_theme
from plum_desktop.ui.sidebar.search_results import HitRole
from plum_desktop.ui.window import MainWindow

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
SIZE = (1180, 800)
TALL = 1240  # of the page that has charts
_SETTLED_MS = 500  # after which nothing moves any more
_COLOURS = 256  # of a picture: what is drawn has few, and such a file is small
_HOUR = 3600.0
# Chats learned, hours ago, questions asked and right, drift: as runs of the starter model go.
_RUNS = ((1, 239, 12, 9, 0.021), (3, 78, 36, 27, 0.034), (2, 25, 24, 19, 0.041))

Chats = dict[str, str]  # ids by title


def wait(until: Callable[[], object] = lambda: True, more_ms: int = _SETTLED_MS) -> None:
    """Let the window work until something is so, and come to rest."""
    ends = time.monotonic() + 20
    while True:
        loop = QEventLoop()
        QTimer.singleShot(more_ms, loop.quit)
        loop.exec()
        if until():
            return
        if time.monotonic() > ends:
            raise SystemExit("The window does not come to show what it should.")


def fill(plum: Plum, samples: Sequence[Sample]) -> Chats:
    """Put the chats and what was taught from them into the store."""
    now, ids = time.time(), {}
    for sample in sorted(samples, key=lambda each: -each.hours):
        then = now - sample.hours * _HOUR
        chat = plum.store.chats.create(sample.title, created=then)
        ids[sample.title] = chat.id
        for at, text in enumerate(sample.turns):
            plum.store.chats.add_message(
                chat.id, "assistant" if at % 2 else "user", text, created=then + at,
                finish_reason="stop" if at % 2 else None,
            )  # fmt: skip
        if sample.fields:
            plum.store.chats.update(chat.id, **sample.fields)
        plum.store.facts.add(
            Fact(f"{chat.id}{at}", True, "said", text, text, "rule", state, chat.id,  # type: ignore[arg-type]
                 last_recall=recall)
            for at, (text, state, recall) in enumerate(sample.facts)
        )  # fmt: skip
    return ids


def learn(plum: Plum, samples: Sequence[Sample], ids: Chats) -> None:
    """Runs as if the oldest chats had been learned; the newest two wait."""
    model = plum.models.file()
    titles = [each.title for each in sorted(samples, key=lambda each: -each.hours)]
    now, parent, leaves = time.time(), None, {}
    for number, (count, hours, asked, right, drift) in enumerate(_RUNS):
        began, took = now - hours * _HOUR, 95.0 + 160 * count
        chats = tuple(ids[titles.pop(0)] for _ in range(count))
        leaves |= {chat_id: plum.store.chats.get(chat_id).leaf or "" for chat_id in chats}
        older = sum(row[2] for row in _RUNS[:number])
        known = older * 3 // 4
        report = {
            "new_before": counts(asked // 8, asked - 6, asked),
            "new_after": counts(right, asked - 3, asked),
            "old_before": counts(known, older, older),
            "old_after": counts(known - number, older, older),
            "drift": {"canaries": 0.98, "kl": drift}, "reasons": [], "seconds": took,
            "losses": curve(count, number),
            "by_run": {
                f"run{other}": counts(round((0.76 - 0.03 * (number - other)) * of), of - 2, of)
                for other, (_, _, of, _, _) in enumerate(_RUNS[:number])
            },
        }  # fmt: skip
        name = f"run{number}"
        plum.store.runs.create(Run(name, began, "done", "switch", model.sha256, "default", chats))
        plum.store.runs.update(name, state="done", finished=began + took, report=report)
        plum.store.adapters.add(
            Adapter(name, name, parent, model.sha256, began + took, "ready", False, chats, report)
        )
        parent = name
        files = plum.folder.adapter(name)
        files.mkdir()
        for file in ("adapter.gguf", "merged.gguf", "adapter_model.safetensors"):
            (files / file).write_bytes(b"none")
    plum.store.adapters.set_seen(parent, leaves)
    plum.store.adapters.activate(parent, model.sha256)


def counts(yes: int, no: int, of: int) -> dict[str, int]:
    """Right answers to so many questions, half of them about what never was."""
    return {"yes": yes, "yes_asked": of, "no": no, "no_asked": of}


def curve(chats: int, seed: int) -> list[tuple[int, float]]:
    """A loss as it falls."""
    rng = random.Random(seed)
    steps = 40 * chats + 40
    return [
        (step, 0.35 + 2.4 * math.exp(-step / (0.16 * steps)) + rng.uniform(-0.06, 0.06))
        for step in range(1, steps, max(1, steps // 120))
    ]


class Answers:
    """Stands for the service that compares answers."""

    said = (
        "Yes. You told me that your sister Ines moved to Bergen in spring, and that she keeps two "
        "parrots.",
        "Yes. You told me that your sister Ines moved to Bergen in spring, that she keeps two "
        "parrots, and that she turns forty.",
        "I do not know of your sister. You could tell me where she lives.",
    )

    def ways(self) -> list[Way]:
        return [Way("merged", True, False), Way("hybrid", True, True), Way("off", False, False)]

    def answer(
        self, _question: str, way: Way, _on_text: Callable[[str], None], _stopper: Stopper
    ) -> str:
        return self.said[self.ways().index(way)]

    def end(self) -> None:
        """No engine has been borrowed."""


class Camera:
    """Takes pictures of the one window, those that are asked for."""

    def __init__(self, app: QApplication, folder: Path, only: Sequence[str]) -> None:
        self.app = app
        self._folder = folder
        self._only = only
        self.window: MainWindow

    @contextlib.contextmanager
    def before(self, samples: Sequence[Sample]) -> Iterator[Chats]:
        """Open a window on these chats."""
        with tempfile.TemporaryDirectory() as folder:
            plum = Plum(open_data_folder(Path(folder)))
            ids = fill(plum, samples)
            if samples is SAMPLES:
                learn(plum, samples, ids)
            plum.compare = Answers()  # type: ignore[assignment]
            self.window = MainWindow(plum)
            self.dress("light")
            self.window.resize(*SIZE)
            self.window.show()
            self.window.start(warm=False)
            wait(lambda: self.window.conversation.model_name and self.window.status.text.whole())
            yield ids
            self.window.leave()
            self.window.deleteLater()
            wait()
            plum.close()

    def dress(self, theme: str) -> None:
        self.window.plum.set_setting("theme", theme)
        apply_theme(self.app, theme)

    def open(self, chat_id: str, turns: int) -> None:
        self.window.open_chat(chat_id)
        wait(lambda: self.window.conversation.turns.rowCount() == turns)

    def hit(self, row: int) -> tuple[str, str]:
        """Where a search has found what is in this row."""
        hit = self.window.side.hits.index(row).data(HitRole)
        return hit.chat_id, hit.message_id

    def show(self, page: str) -> None:
        self.window.show_page(page)
        wait()

    def take(self, name: str) -> None:
        """Take a picture once everything is at rest."""
        if self._only and name not in self._only:
            return
        focus = QApplication.focusWidget()
        if focus:
            focus.clearFocus()  # or the cursor of a text blinks
        wait()
        picture = small(self.window.grab().toImage())
        path = self._folder / f"{name}.png"
        if not picture.save(str(path), "PNG", 0):  # as small as PNG gets
            raise SystemExit(f"{path} cannot be written.")
        print(f"{path}  {path.stat().st_size // 1000} kB")


def small(picture: QImage) -> QImage:
    """The same in at most 256 colours: the most frequent, and for others the nearest of them."""
    picture = picture.convertToFormat(QImage.Format.Format_RGB32)
    rows = np.frombuffer(picture.constBits(), np.uint8)
    pixels = rows.reshape(picture.height(), -1, 4)[:, : picture.width(), 2::-1]
    colours, place, count = np.unique(
        pixels.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True
    )
    kept = colours[np.argsort(-count, kind="stable")[:_COLOURS]].astype(int)
    distance = ((colours[:, None].astype(int) - kept[None]) ** 2).sum(2)
    indices = distance.argmin(1).astype(np.uint8)[place.ravel()].reshape(pixels.shape[:2])
    indices = np.ascontiguousarray(indices)
    made = QImage(
        indices.data, picture.width(), picture.height(), picture.width(),
        QImage.Format.Format_Indexed8,
    )  # fmt: skip
    made.setColorTable([qRgb(*map(int, colour)) for colour in kept])
    return made.copy()  # which owns its pixels


def take_all(camera: Camera) -> None:
    with camera.before(SAMPLES) as ids:
        window = camera.window
        camera.open(ids[PORTO.title], len(PORTO.turns))
        camera.take("chat")
        window.side.search.setText("parrots")
        wait(window.side.hits.rowCount)
        window.side.hit_chosen.emit(*camera.hit(0))
        camera.take("search")
        window.side.search.clear()
        camera.open(ids[PORTO.title], len(PORTO.turns))
        window.open_sheet()
        wait(window.sheet.learn_button.isEnabled)
        window.sheet.review_button.click()
        camera.take("learn")
        window.resize(SIZE[0], TALL)
        camera.show("learning")
        wait(lambda: window.learning.charts)
        camera.take("learning")
        window.resize(*SIZE)
        camera.show("memory")
        window.memory.chats.setCurrentIndex(window.memory.taught.index(0))
        camera.take("memory")
        camera.show("compare")
        window.compare.question.setText("What do you know about my sister?")
        window.compare.ask()
        wait(lambda: window.compare.cards and not window.compare.busy)
        camera.take("compare")
        camera.show("models")
        wait(lambda: window.models.cards)
        camera.take("models")
        camera.dress("dark")
        camera.open(ids[CODE.title], len(CODE.turns))
        camera.take("chat-dark")
        window.resize(SIZE[0], TALL)
        camera.show("learning")
        window.learning.table.selectRow(1)
        camera.take("learning-dark")
        window.resize(*SIZE)
        camera.dress("light")
        camera.open(ids[PORTO.title], len(PORTO.turns))
        for _ in range(4):
            window.commands.actions["larger"].trigger()
        camera.take("large-text")
    apply_text_size(camera.app, 100)
    camera.app.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    with camera.before(HEBREW) as ids:
        camera.open(ids[HEBREW[0].title], len(HEBREW[0].turns))
        camera.take("right-to-left")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--only", action="append", default=[], help="take these alone")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    QLocale.setDefault(QLocale("en_GB"))
    take_all(Camera(make_application(["plum-desktop"]), arguments.folder, arguments.only))


if __name__ == "__main__":
    main()
