"""The Settings page, built from the fields of `base.settings.Settings` and the window's keys."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import get_type_hints

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from plum_desktop.base.settings import Settings
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.commands import Commands
from plum_desktop.ui.base.controls import button, label, small
from plum_desktop.ui.base.page import Page
from plum_desktop.ui.base.words import breakable
from plum_desktop.ui.settings.backup_row import BackupRow
from plum_desktop.ui.settings.key_row import KeyRow
from plum_desktop.ui.settings.passphrase_row import PassphraseRow
from plum_desktop.ui.settings.setting_row import SettingRow, setting_text

_ELSEWHERE = ("model", "keys")  # chosen on the Models page, and in rows of their own
_GROUPS = (  # in their order; others follow
    "Window", "Answers", "Learning", "Learning by itself", "Models", "This computer",
    "Updates", "Passphrase",
)  # fmt: skip


class SettingsPage(Page):
    """Signals: setting_changed(key), restored, wished as PassphraseRow."""

    setting_changed = Signal(str)
    restored = Signal()
    wished = Signal(str, str)

    def __init__(self, bridge: Bridge, commands: Commands) -> None:
        super().__init__(self.tr("Settings"))
        self._bridge = bridge
        self.rows: dict[str, SettingRow] = {}
        self.key_rows: dict[str, KeyRow] = {}
        self._groups: list[_Group] = []
        self.search = QLineEdit()
        self.search.setPlaceholderText(self.tr("Find a setting"))
        self.search.setAccessibleName(self.tr("Find a setting"))
        self.search.setClearButtonEnabled(True)
        self.search.setMaximumWidth(280)
        self.search.textChanged.connect(self._filter)
        self.head.addWidget(self.search)
        self._none = small(self.tr("No setting has these words. Try fewer of them."), wrap=True)
        self._none.hide()
        self.body.addWidget(self._none)
        self._make_rows()
        self._make_backup_row()
        self._make_key_rows(commands)
        self.body.addLayout(self._make_place())
        self.body.addStretch(1)
        self.refresh()

    @property
    def fields(self) -> dict[str, QWidget]:
        """Where each setting is set."""
        return {key: row.editor for key, row in self.rows.items()}

    def _make_rows(self) -> None:
        kinds = get_type_hints(Settings)
        groups: dict[str, _Group] = {}
        fields = [each for each in dataclasses.fields(Settings) if each.name not in _ELSEWHERE]
        for title in dict.fromkeys([*_GROUPS, *(each.metadata["group"] for each in fields)]):
            groups[title] = self._group(setting_text(title))
        self.passphrase = PassphraseRow(self._bridge)
        self.passphrase.told.connect(self.tell)
        self.passphrase.failed.connect(self.say)
        self.passphrase.wished.connect(self.wished)
        groups["Passphrase"].add(self.passphrase)
        for field in fields:
            row = SettingRow(field, kinds[field.name])
            row.changed.connect(partial(self._set, field.name))
            self.rows[field.name] = row
            groups[field.metadata["group"]].add(row)

    def _make_backup_row(self) -> None:
        self.backups = BackupRow(self._bridge)
        self.backups.told.connect(self.tell)
        self.backups.failed.connect(self.say)
        self.backups.restored.connect(self.restored)
        self._group(self.tr("Backups")).add(self.backups)

    def _make_key_rows(self, commands: Commands) -> None:
        group = self._group(self.tr("Keys"))
        for name in commands:
            row = KeyRow(commands, name)
            row.chosen.connect(partial(self._set, "keys"))
            self.key_rows[name] = row
            group.add(row)

    def _group(self, title: str) -> _Group:
        made = _Group(title)
        self._groups.append(made)
        self.body.addWidget(made)
        return made

    def _make_place(self) -> QHBoxLayout:
        place = QHBoxLayout()
        folder = self._bridge.plum.folder.root
        place.addWidget(
            small(
                self.tr("Everything is kept in {folder}").format(folder=breakable(str(folder))),
                wrap=True,
            ),
            1,
        )
        place.addWidget(
            button(
                self.tr("Open the folder"), "quiet",
                lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))),
            )
        )  # fmt: skip
        return place

    def _filter(self, text: str) -> None:
        wanted = text.casefold().split()
        found = [group.filter(wanted) for group in self._groups]
        self._none.setVisible(not any(found))

    def refresh(self) -> None:
        settings = self._bridge.plum.settings
        for key, row in self.rows.items():
            row.set_value(getattr(settings, key))
        self.backups.refresh()
        self.passphrase.refresh()

    def _set(self, key: str, value: object) -> None:
        if getattr(self._bridge.plum.settings, key) == value:
            return

        def failed(error: str) -> None:
            self.say(error)
            self.refresh()

        def done(_: object) -> None:
            self.notice.hide()
            self.refresh()
            self.setting_changed.emit(key)

        self._bridge.ask(
            lambda: self._bridge.plum.set_setting(key, value), done, failed, owner=self
        )


_Row = SettingRow | KeyRow | BackupRow | PassphraseRow


class _Group(QWidget):
    """A heading and the card under it."""

    def __init__(self, title: str) -> None:
        super().__init__()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 8, 0, 0)
        box.setSpacing(8)
        box.addWidget(label(title, pixels=15, bold=True))
        card = QFrame()
        card.setProperty("kind", "card")
        self._box = QVBoxLayout(card)
        self._box.setContentsMargins(16, 8, 8, 8)
        self._box.setSpacing(0)
        box.addWidget(card)
        self._rows: list[_Row] = []

    def add(self, row: _Row) -> None:
        self._rows.append(row)
        self._box.addWidget(row)

    def filter(self, wanted: list[str]) -> bool:
        """Show the rows that have all these words; whether there are any."""
        found = [all(word in row.words for word in wanted) for row in self._rows]
        for row, shown in zip(self._rows, found, strict=True):
            row.setVisible(shown)
        self.setVisible(any(found))
        return any(found)
