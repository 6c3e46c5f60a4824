"""The whole product in one process: every service, wired once."""

from __future__ import annotations

from plum_desktop.app import leftovers, turning
from plum_desktop.app.adapters import AdapterService
from plum_desktop.app.backup import BackupService
from plum_desktop.app.chat import ChatService
from plum_desktop.app.compare import CompareService
from plum_desktop.app.downloads import DownloadService
from plum_desktop.app.due import ScheduleService
from plum_desktop.app.forget import ForgetService
from plum_desktop.app.imports import ImportService
from plum_desktop.app.learn import LearnService
from plum_desktop.app.memory import MemoryService
from plum_desktop.app.models import ModelService
from plum_desktop.app.personas import Personas
from plum_desktop.app.preferences import Preferences
from plum_desktop.app.serving import Serving
from plum_desktop.app.updates import UpdateService
from plum_desktop.base.errors import DamagedFile
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.sealing import require_header
from plum_desktop.base.settings import Settings
from plum_desktop.store import Store
from plum_desktop.store.recovery import recover


class Plum:
    """Composition root; one a process.  Opening it starts no child and reads no model."""

    def __init__(self, folder: DataFolder) -> None:
        """Raises PlumError where the database cannot be opened, Locked where it is sealed and
        `turning.unlock` was not called before.

        Of a damaged one what can be read goes into a new one, and `recovered` says so.
        """
        self.folder = folder
        self.recovered: str | None = None
        turning.settle(folder)
        try:
            self.store = Store(folder.database, folder.backups)
        except DamagedFile:
            require_header(folder.root)
            self.recovered = recover(folder.database, folder.backups).sentence
            self.store = Store(folder.database, folder.backups)
        leftovers.clear(folder, self.store)
        self._preferences = Preferences(folder.settings)
        self.models = ModelService(folder, self._preferences)
        self.downloads = DownloadService(folder, self._preferences)
        self.serving = Serving(folder, self.store, self.models, self._preferences)
        self.chats = ChatService(self.store, self.serving, self._preferences)
        self.compare = CompareService(self.serving, self._preferences)
        self.personas = Personas(folder.personas)
        self.adapters = AdapterService(folder, self.store, self.models, self.serving)
        self.imports = ImportService(folder, self.store, self.models, self.serving)
        self.learning = LearnService(
            folder, self.store, self.models, self._preferences, self.serving
        )
        self.forgetting = ForgetService(
            folder, self.store, self.adapters, self.learning, self.serving
        )
        self.backups = BackupService(
            folder, self.store, self.adapters, self.serving, self.forgetting
        )
        self.memory = MemoryService(self.store, self.forgetting)
        self.schedule = ScheduleService(self.learning, self.store, self._preferences)
        self.updates = UpdateService(folder, self._preferences)

    @property
    def settings(self) -> Settings:
        """The settings as they are now, another process's changes included."""
        return self._preferences.current

    def set_setting(self, key: str, value: object) -> None:
        """Check and save one setting.  Raises PlumError for an unknown key or a bad value."""
        if key == "model" and value:
            self.models.use(str(value))
        else:
            self._preferences.set(key, value)

    def close(self) -> None:
        """Pause what downloads, end the engine and close the database."""
        self.updates.stop()
        self.downloads.close()
        self.serving.close()
        self.store.close()
