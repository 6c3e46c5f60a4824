"""A newer version: looked for when asked, or once a week if that is switched on, and told here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, QUrl
from PySide6.QtGui import QDesktopServices

from plum_desktop import __version__
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.controls import Notice, announce, button

if TYPE_CHECKING:
    from plum_desktop.app.releases import Release

FIRST_MS = 5000  # after the start, which needs the computer for itself
_AGAIN_MS = 12 * 3600 * 1000  # of a window that stays open; whether it is time, the app decides


class UpdateNotice(Notice):
    """Hidden until there is something to tell."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(closable=True)
        self._bridge = bridge
        self._checking = False
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._look_if_due)
        self.hide()

    def check(self) -> None:
        """Look now, and say whatever comes of it."""
        if self._checking:
            return
        self._checking = True
        self._tell(self.tr("Looking for a newer version…"))
        self._bridge.ask(
            self._bridge.plum.updates.look, self._on_looked, self._on_failed, owner=self,
            lane="slow",
        )  # fmt: skip

    def watch(self) -> None:
        """Look once a week from now on, or no more, as the setting is."""
        if self._bridge.plum.settings.updates != "on":
            self._timer.stop()
        elif not self._timer.isActive():
            self._timer.start(FIRST_MS)

    def _look_if_due(self) -> None:
        def looked(found: Release | None) -> None:
            if found and not self._checking:
                self._offer(found)

        # Nobody waits for it, so whatever goes wrong is for the log.
        self._bridge.ask(
            self._bridge.plum.updates.look_if_due, looked, lambda _: None, owner=self, lane="slow"
        )
        self._timer.start(_AGAIN_MS)

    def _on_looked(self, found: Release | None) -> None:
        self._checking = False
        if found:
            self._offer(found)
        else:
            self._tell(
                self.tr("You have the newest version, {version}.").format(version=__version__)
            )

    def _on_failed(self, sentence: str) -> None:
        self._checking = False
        self._tell(sentence, failed=True)

    def _offer(self, release: Release) -> None:
        self._tell(
            self.tr("Plum Desktop {version} is out; this is {current}.").format(
                version=release.version, current=__version__
            )
        )
        opens = button(
            self.tr("Open its page"), "plain",
            lambda: QDesktopServices.openUrl(QUrl(release.page)),
        )  # fmt: skip
        opens.setToolTip(release.page)
        self.set_buttons(opens)

    def _tell(self, sentence: str, *, failed: bool = False) -> None:
        had_focus = any(each.hasFocus() for each in self.buttons())
        self.say(sentence, "danger" if failed else "plain")
        self.set_buttons()
        self.show()
        announce(self, sentence)
        if had_focus:  # which goes with the button
            self.closed.emit()
