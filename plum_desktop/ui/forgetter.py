"""Asking before something is forgotten, in plain words, and doing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QMessageBox, QPushButton, QWidget

from plum_desktop.ui.base import words
from plum_desktop.ui.base.bridge import Bridge

if TYPE_CHECKING:
    from plum_desktop.app.forget import ForgetPlan
    from plum_desktop.base.types import Message

_NAMED = 3  # chats that are named
_LONGEST = 40  # characters of a title


class Forgetter(QObject):
    """Says first what it takes.

    Signals:
    going(chat ids): they are being forgotten, and are to leave the screen
    changed(chat ids): the store and what serves are other than before; or these are still there
    forgot(sentence, whether chats wait to be learned again)
    failed(sentence)
    """

    going = Signal(list)
    changed = Signal(list)
    forgot = Signal(str, bool)
    failed = Signal(str)

    def __init__(self, bridge: Bridge, window: QWidget) -> None:
        super().__init__(window)
        self._bridge = bridge
        self._window = window

    def ask_chats(self, chat_ids: Sequence[str]) -> None:
        """Forget chats, and what was learned with them."""
        service = self._bridge.plum.forgetting
        ids = list(chat_ids)

        def ask(plan: ForgetPlan) -> None:
            if len(plan.chats) == 1:
                title = words.shortened(plan.chats[0].title, _LONGEST)
                text = self.tr("Forget “{title}” for good?").format(title=title)
            else:
                text = self.tr("Forget {chats} for good?").format(
                    chats=words.chats(len(plan.chats))
                )
            about = [
                self.tr(
                    "Everything that was said goes, from search, from the facts and from the "
                    "backups too."
                )
            ]
            self._open(
                text, [*about, *self._memory_words(plan)],
                (self.tr("Forget"), lambda: self._do(plan, lambda: service.forget(ids), ids)),
            )  # fmt: skip

        self._bridge.ask(lambda: service.plan(ids), ask, self.failed.emit, owner=self, lane="slow")

    def ask_deleted(self) -> None:
        """Forget what is still remembered of chats that were deleted."""
        service = self._bridge.plum.forgetting

        def ask(plan: ForgetPlan) -> None:
            if not plan.adapters:
                self.changed.emit([])
                return
            self._open(
                self.tr("Forget what was learned from deleted chats?"), self._memory_words(plan),
                (self.tr("Forget"), lambda: self._do(plan, service.forget_orphans, [])),
            )  # fmt: skip

        self._bridge.ask(service.plan_orphans, ask, self.failed.emit, owner=self, lane="slow")

    def ask_message(self, message_id: str) -> None:
        """Delete a message and what goes with it; what was learned as well, if that is wanted."""
        service = self._bridge.plum.forgetting

        def look() -> tuple[ForgetPlan, list[Message]]:
            return service.plan_message(message_id), service.deleted_with(message_id)

        def ask(found: tuple[ForgetPlan, list[Message]]) -> None:
            plan, gone = found
            if len(gone) == 1:
                text = self.tr("Delete this message for good?")
            elif len(gone) == 2 and gone[0].role == "user":
                text = self.tr("Delete this question and its reply for good?")
            else:
                text = self.tr("Delete these %n messages for good?", "", len(gone))
            about = [self.tr("They go from search, from the facts and from the backups too.")]
            if len(gone) == 1:
                about = [self.tr("It goes from search, from the facts and from the backups too.")]
            if len(gone) > 1:
                about.insert(0, self.tr("“{words}”").format(
                    words=words.shortened(gone[0].text, 2 * _LONGEST)))  # fmt: skip

            def delete(learned: bool) -> None:
                self._do(
                    plan if learned else None,
                    lambda: service.delete_message(message_id, learned=learned), [],
                )  # fmt: skip

            deeds = [(self.tr("Delete"), lambda: delete(False))]
            if plan.adapters:
                about.append(self.tr(
                    "“Delete” leaves what Plum learned from this chat as it is. With “Delete and "
                    "forget” that goes as well:"
                ))  # fmt: skip
                about += self._memory_words(plan)
                deeds.append((self.tr("Delete and forget"), lambda: delete(True)))
            else:
                about += self._given_up(plan)
            self._open(text, about, *deeds)

        self._bridge.ask(look, ask, self.failed.emit, owner=self, lane="slow")

    def _memory_words(self, plan: ForgetPlan) -> list[str]:
        """What it means for what was learned."""
        said = []
        if not plan.adapters:
            said.append(self.tr("Nothing was learned from it."))
        elif plan.serves:
            said.append(
                self.tr("What Plum learned with it is deleted; an older memory answers at once.")
            )
        else:
            said.append(
                self.tr("What Plum learned with it is deleted; it answers without memory then.")
            )
        if plan.relearn:
            titles = [words.shortened(chat.title, _LONGEST) for chat in plan.relearn[:_NAMED]]
            if (more := len(plan.relearn) - _NAMED) > 0:
                titles.append(self.tr("%n more", "", more))
            takes = ", " + words.about(plan.seconds) if plan.seconds else ""
            said.append(
                self.tr(
                    "This goes from memory too, and can be learned again ({count}{takes}): "
                    "{titles}."
                ).format(
                    count=words.chats(len(plan.relearn)), takes=takes, titles=", ".join(titles)
                )
            )
        said += self._given_up(plan)
        if plan.adapters:
            said.append(self.tr("Files that you have exported stay as they are."))
        return said

    def _given_up(self, plan: ForgetPlan) -> list[str]:
        if not plan.interrupted:
            return []
        return [self.tr("The learning run that was interrupted is given up.")]

    def _open(
        self, text: str, about: Sequence[str], *deeds: tuple[str, Callable[[], object]]
    ) -> None:
        box = QMessageBox(self._window)
        box.setWindowTitle(deeds[-1][0])
        box.setText(text)
        box.setInformativeText("\n\n".join(about))
        roles = QMessageBox.ButtonRole
        does: dict[QPushButton, Callable[[], object]] = {
            box.addButton(name, roles.DestructiveRole): act for name, act in deeds
        }
        cancels = box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(cancels)
        box.setEscapeButton(cancels)

        def answered() -> None:
            chosen = box.clickedButton()
            for made, act in does.items():
                if made is chosen:
                    act()

        box.finished.connect(lambda _: answered())
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    def _do(
        self, plan: ForgetPlan | None, work: Callable[[], bool], chat_ids: Sequence[str]
    ) -> None:
        def done(complete: bool) -> None:
            again = plan is not None and bool(plan.relearn)
            said = self.tr("Deleted.") if plan is None else self.tr("Forgotten.")
            if not complete:
                said += " " + self.tr(
                    "Its last traces go as soon as no other Plum Desktop uses the files."
                )
            if plan is not None and again:
                said += " " + self.tr("{chats} can be learned again.").format(
                    chats=words.chats(len(plan.relearn))
                )
            self.changed.emit(list(chat_ids))
            self.forgot.emit(said, again)

        def refused(sentence: str) -> None:
            self.changed.emit(list(chat_ids))
            self.failed.emit(sentence)

        self.going.emit(list(chat_ids))
        self._bridge.ask(work, done, refused, owner=self, lane="slow")
