"""Opening the window: one for each data folder, dressed as the system is."""

from __future__ import annotations

import contextlib
import hashlib
import linecache
import logging
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QLocale, QObject, QSocketNotifier, Qt, QTimer, Signal
from PySide6.QtGui import QIcon
from PySide6.QtNetwork import QLocalServer, QLocalSocket
from PySide6.QtWidgets import QApplication, QMessageBox

from plum_desktop import __version__
from plum_desktop.base.crash import CrashFile
from plum_desktop.base.errors import PlumError
from plum_desktop.base.files import FileLock
from plum_desktop.base.paths import DataFolder
from plum_desktop.ui.base.bridge import sentence
from plum_desktop.ui.base.collector import MainThreadCollector
from plum_desktop.ui.base.theme import (
    INTERFACE_PIXELS,
    apply_text_size,
    apply_theme,
    icon,
    text_font,
)
from plum_desktop.ui.base.translations import load_translations
from plum_desktop.ui.base.words import said
from plum_desktop.ui.unlocking import Wish, fulfil, unlocked
from plum_desktop.ui.window import MainWindow

if TYPE_CHECKING:
    from plum_desktop.app.product import Plum

log = logging.getLogger(__name__)

_HELLO = b"raise\n"
_CALL_MS = 2000


class OneWindow(QObject):
    """Sees to it that a data folder has one window: a second start raises the first.

    Signals: called, by a later start.
    """

    called = Signal()

    def __init__(self, folder: DataFolder) -> None:
        super().__init__()
        self._lock = FileLock(folder.window_lock)
        digest = hashlib.sha256(str(folder.root).encode()).hexdigest()[:16]
        self._name = f"plum-desktop-{digest}"
        self._server: QLocalServer | None = None

    def acquire(self) -> bool:
        """Become the one window; False where there is one already."""
        if not self._lock.try_acquire():
            return False
        QLocalServer.removeServer(self._name)  # left by a window that was killed
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._on_connection)
        if not self._server.listen(self._name):
            log.warning("a second start will not find this window: %s", self._server.errorString())
        return True

    def call_other(self) -> bool:
        """Ask the window that is open to come to the front."""
        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(_CALL_MS):
            return False
        socket.write(_HELLO)
        said = socket.waitForBytesWritten(_CALL_MS)
        socket.disconnectFromServer()
        return said

    def release(self) -> None:
        if self._server:
            self._server.close()
        self._lock.release()

    def _on_connection(self) -> None:
        assert self._server
        while socket := self._server.nextPendingConnection():
            socket.disconnected.connect(socket.deleteLater)
            self.called.emit()


def make_application(arguments: list[str]) -> QApplication:
    """The QApplication, with our name, our icon and type of our size."""
    QApplication.setApplicationName("plum-desktop")
    QApplication.setApplicationDisplayName("Plum Desktop")
    QApplication.setApplicationVersion(__version__)
    QApplication.setDesktopFileName("io.github.plum_desktop.PlumDesktop")
    app = QApplication(arguments)
    MainThreadCollector(app)
    QApplication.setStyle("Fusion")
    app.setFont(text_font(INTERFACE_PIXELS))
    if QLocale().language() == QLocale.Language.C:  # of no place: its dates are "20 11 2026"
        QLocale.setDefault(QLocale(QLocale.Language.English))
    load_translations(app, QLocale())
    picture: QIcon = icon("plum", "#7B3F8C")
    app.setWindowIcon(picture)
    return app


def run(folder: DataFolder) -> int:
    """Open the window on `folder` and return the exit status when it closes.

    Raises PlumError where the database cannot be opened, or where another window holds the
    folder and does not answer.
    """
    app = make_application(sys.argv[:1])
    try:
        return _open(app, folder)
    except PlumError as error:
        if not (sys.stderr and sys.stderr.isatty()):
            # Started from a menu, where nobody reads the command's line.
            name = QApplication.applicationDisplayName()
            QMessageBox.critical(None, name, said(error.sentence))
        raise


def _open(app: QApplication, folder: DataFolder) -> int:
    # Imported here, so that a start that only raises the first window opens nothing.
    from plum_desktop.app.product import Plum

    one = OneWindow(folder)
    if not one.acquire():
        if one.call_other():
            return 0
        raise PlumError("Plum Desktop is open already, and does not answer; close it first.")
    crash = CrashFile(folder.logs)
    crash.watch()
    try:
        trouble: str | None = None
        wish: tuple[Wish, str] | None = None
        # One window after another, as long as they close for that; who locks wants to be asked.
        while unlocked(app, folder, by_keychain=wish is None):
            plum = Plum(folder)
            try:
                status, wish = _show(app, one, plum, crash, trouble)
            finally:
                plum.close()
            if wish is None:
                return status
            trouble = fulfil(folder, *wish)
        return 0
    except PlumError:
        raise
    except Exception as error:
        crash.keep(error)
        raise
    finally:
        crash.close()
        one.release()


def _show(
    app: QApplication, one: OneWindow, plum: Plum, crash: CrashFile, trouble: str | None
) -> tuple[int, tuple[Wish, str] | None]:
    """Until the window closes; the exit status, and what it closed for.  `trouble` is told."""
    apply_theme(app, plum.settings.theme)
    apply_text_size(app, plum.settings.text_size)
    schemes = app.styleHints().colorSchemeChanged.connect(
        lambda _: apply_theme(app, plum.settings.theme)
    )
    linecache.clearcache()  # Qt read the source of all that was imported after it: 11 MB
    window = MainWindow(plum, crash)
    one.called.connect(window.come_forward)
    _report_defects(window, crash)
    signs = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(sign, lambda *_: window.leave()) for sign in signs]
    ending = app.commitDataRequest.connect(lambda _: window.leave())  # the session ends
    window.show()
    if trouble:
        window.say(trouble)
    # `bench startup` waits for this line; the timer comes behind the events that draw the list.
    window.side.counted.connect(
        lambda _: QTimer.singleShot(0, lambda: log.info("the window is usable")),
        Qt.ConnectionType.SingleShotConnection,
    )
    QTimer.singleShot(0, window, window.start)
    with _awake_for_signals():
        status = app.exec()
    for sign, handler in zip(signs, before, strict=True):
        signal.signal(sign, handler)
    sys.excepthook, threading.excepthook = sys.__excepthook__, threading.__excepthook__
    # It must not outlive what it shows: another one may come, or the passphrase be asked.
    app.styleHints().colorSchemeChanged.disconnect(schemes)
    app.commitDataRequest.disconnect(ending)
    window.deleteLater()
    app.sendPostedEvents(window, QEvent.Type.DeferredDelete)
    return status, window.wish


@contextlib.contextmanager
def _awake_for_signals() -> Iterator[None]:
    """Python sees a signal only while it runs: have each wake the event loop, nothing else."""
    seen, told = socket.socketpair()
    for end in (seen, told):
        end.setblocking(False)
    notifier = QSocketNotifier(seen.fileno(), QSocketNotifier.Type.Read)
    notifier.activated.connect(lambda: seen.recv(64))
    before = signal.set_wakeup_fd(told.fileno())
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        notifier.setEnabled(False)
        seen.close()
        told.close()


def _report_defects(window: MainWindow, crash: CrashFile) -> None:
    """A defect in a slot is logged, said and kept, and the window stays."""

    def hook(
        _kind: type[BaseException], error: BaseException, _where: TracebackType | None
    ) -> None:
        crash.keep(error)
        window.say(sentence(error))

    def thread_hook(failed: threading.ExceptHookArgs) -> None:
        if failed.exc_value is not None:
            crash.keep(failed.exc_value)
            sentence(failed.exc_value)  # for the log

    sys.excepthook, threading.excepthook = hook, thread_hook
