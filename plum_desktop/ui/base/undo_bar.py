"""The bar that offers to undo what was just done."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QTimer

from plum_desktop.ui.base.controls import Notice, announce, button

UNDO_MS = 10_000
Step = Callable[[], object]


class UndoBar(Notice):
    """One thing at a time can be undone, until the bar goes: then it is done for good."""

    def __init__(self) -> None:
        super().__init__()
        self._steps: tuple[Step, Step | None] | None = None
        self._room = True
        self.time = QTimer(self, singleShot=True, interval=UNDO_MS)
        self.time.timeout.connect(self.commit)
        self.hide()

    def offer(
        self, text: str, undo: Step, commit: Step | None = None,
        instead: tuple[str, Step] | None = None,
    ) -> None:  # fmt: skip
        """Say what was done.  `commit` is for what is done on screen alone until then; a button
        offers `instead` in its place.
        """
        self.commit()
        self._steps = undo, commit
        self.say(text)
        buttons = [button(self.tr("Undo"), "quiet", self.undo)]
        if instead:
            name, step = instead
            buttons.append(button(name, "quiet", lambda: self._do_instead(step)))
        self.set_buttons(*buttons, below=len(buttons) > 1)
        self.setVisible(self._room)
        self.time.start()
        announce(self, text)

    def undo(self) -> None:
        if steps := self._take():
            steps[0]()

    def _do_instead(self, step: Step) -> None:
        if self._take():
            step()

    def commit(self) -> None:
        """Do for good what could be undone until now."""
        if (steps := self._take()) and steps[1]:
            steps[1]()

    def set_room(self, room: bool) -> None:
        """Whether there is room for the bar."""
        self._room = room
        self.setVisible(room and self._steps is not None)

    def _take(self) -> tuple[Step, Step | None] | None:
        steps, self._steps = self._steps, None
        self.time.stop()
        self.hide()
        return steps
