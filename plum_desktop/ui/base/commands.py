"""What can be done in the window, by name, and the keys that do it; these can be chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget

_NATIVE = QKeySequence.SequenceFormat.NativeText
_WRITING = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier
# Keys that every text field needs for itself.
_TAKEN = (
    "Ctrl+C", "Ctrl+V", "Ctrl+X", "Ctrl+A", "Ctrl+Z", "Ctrl+Shift+Z", "Return", "Enter",
    "Shift+Return", "Tab", "Shift+Tab", "Backspace", "Del", "Up", "Down", "Left", "Right", "Home",
    "End", "PgUp", "PgDown", "Shift+Left", "Shift+Right", "Shift+Up", "Shift+Down",
)  # fmt: skip


class Commands(QObject):
    """Every action of a window, in the order they were added.

    Signals: changed, when some keys are others now.
    """

    changed = Signal()

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self.actions: dict[str, QAction] = {}
        self._defaults: dict[str, str] = {}

    def add(self, name: str, text: str, keys: str, slot: Callable[[], object]) -> None:
        action = QAction(text, self._window)
        action.setObjectName(name)
        action.setShortcut(QKeySequence(keys))
        action.triggered.connect(lambda: slot())
        self._window.addAction(action)
        self.actions[name] = action
        self._defaults[name] = keys

    def __iter__(self) -> Iterator[str]:
        return iter(self.actions)

    def text(self, name: str) -> str:
        return self.actions[name].text()

    def default(self, name: str) -> QKeySequence:
        return QKeySequence(self._defaults[name])

    def keys(self, name: str) -> QKeySequence:
        return self.actions[name].shortcut()

    def choose(self, chosen: Mapping[str, str]) -> None:
        """Bind what `chosen` names to its keys, in portable text, and all else to its own."""
        for name, action in self.actions.items():
            action.setShortcut(QKeySequence(chosen.get(name, self._defaults[name])))
        self.changed.emit()

    def chosen(self, name: str, keys: QKeySequence) -> dict[str, str]:
        """The mapping for the settings once `name` has `keys`: only what is not the default."""
        wanted = {each: self.keys(each) for each in self.actions} | {name: keys}
        return {
            each: sequence.toString()
            for each, sequence in wanted.items()
            if sequence != self.default(each)
        }

    def trouble(self, name: str, keys: QKeySequence) -> str | None:
        """Why `name` cannot have `keys`, in a sentence; None: it can."""
        shown = keys.toString(_NATIVE)
        if keys.isEmpty() or keys == self.default(name) == self.keys(name):
            return None
        for other, action in self.actions.items():
            if other != name and action.shortcut() == keys:
                return self.tr(
                    "{keys} is for “{other}”; choose other keys, or change those."
                ).format(keys=shown, other=action.text())
        stroke = keys[0]  # type: ignore[index]  # which the stubs lack
        key, plain = stroke.key(), not stroke.keyboardModifiers() & ~_WRITING
        writes = plain and key < Qt.Key.Key_Escape
        if writes or shown in [QKeySequence(each).toString(_NATIVE) for each in _TAKEN]:
            return self.tr("{keys} is needed for writing; add Ctrl or Alt.").format(keys=shown)
        return None


def keys_of(widget: QWidget, command: str) -> str:
    """The keys of a command of the window that `widget` is in, as this system writes them."""
    direct = Qt.FindChildOption.FindDirectChildrenOnly
    action = widget.window().findChild(QAction, command, direct) if command else None
    return action.shortcut().toString(_NATIVE) if action else ""


def with_keys(text: str, keys: str) -> str:
    """`text` and the keys that do the same."""
    return f"{text}  ({keys})" if keys else text


class _Tip(QObject):
    """Looks the keys up when a tool tip is about to show, since they can change."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.text = self.command = ""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(watched, QWidget):
            watched.setToolTip(with_keys(self.text, keys_of(watched, self.command)))
        return super().eventFilter(watched, event)


def set_tip(widget: QWidget, text: str, command: str = "") -> None:
    """Give `widget` a tool tip that names the keys of the command which does the same."""
    direct = Qt.FindChildOption.FindDirectChildrenOnly
    tip = widget.findChild(_Tip, options=direct)
    if tip is None and command:
        tip = _Tip(widget)
        widget.installEventFilter(tip)
    if tip is not None:
        tip.text, tip.command = text, command
    widget.setToolTip(text)
