"""Learn from my chats: what would be learned, and the job that learns it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from plum_desktop.app.backend import Backend, Trainer, cannot_learn, trainer_for
from plum_desktop.app.estimate import Estimates
from plum_desktop.app.models import ModelService
from plum_desktop.app.preferences import Preferences
from plum_desktop.app.serving import Serving
from plum_desktop.base.errors import Busy, PlumError
from plum_desktop.base.files import FileLock, require_free
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.sentence import Sentence
from plum_desktop.base.types import Chat, Run
from plum_desktop.learning import own, primer
from plum_desktop.learning import recipe as recipes
from plum_desktop.learning.conversation import Conversation
from plum_desktop.learning.job import JobFolder, JobSpec
from plum_desktop.learning.recipe import Recipe
from plum_desktop.learning.select import learnable
from plum_desktop.models.local import ModelFile
from plum_desktop.store import Store

if TYPE_CHECKING:
    from plum_desktop.app.job import Job, Outcome, Progress


_TOKEN = 4  # characters, about


@dataclass(frozen=True, slots=True)
class PlannedChat:
    """`is_new` is False for a chat that went on since it was learned."""

    id: str
    title: str
    tokens: int  # estimated
    is_new: bool


@dataclass(frozen=True, slots=True)
class _Looked:
    """What is known of a chat until its shown branch changes; `reason`: why it teaches nothing."""

    mark: int | None
    leaf: str = ""
    characters: int = 0
    turns: int = 0
    reason: str = ""

    @classmethod
    def at(cls, mark: int | None, conversation: Conversation | None, reason: str) -> _Looked:
        if conversation is None:
            return cls(mark, reason=reason)
        turns = conversation.turns
        return cls(mark, conversation.leaf or "", len(conversation.text), len(turns))


@dataclass(frozen=True, slots=True)
class LearnPlan:
    """What a run would learn, and what it takes; `refusal` says why it cannot start."""

    chats: list[PlannedChat]
    left_out: list[tuple[Chat, str]]
    seconds: float
    disk_bytes: int
    model: str
    recipe: str
    backend: Trainer
    refusal: str | None


class LearnService:
    """Plans, starts and resumes learning runs.  One job at a time, in any process."""

    def __init__(
        self,
        folder: DataFolder,
        store: Store,
        models: ModelService,
        preferences: Preferences,
        serving: Serving,
    ) -> None:
        self._folder = folder
        self._store = store
        self._models = models
        self._preferences = preferences
        self._serving = serving
        self._looked: dict[str, _Looked] = {}  # asked after every reply, with thousands of chats

    def plan(
        self,
        chat_ids: Sequence[str] | None = None,
        limit: int | None = None,
        recipe: str | None = None,
        backend: Backend | None = None,
    ) -> LearnPlan:
        """Chats new or changed since the active adapter, oldest first; `limit` takes so many.

        `chat_ids` asks for these chats, learned, undone or excluded before or not.
        """
        settings = self._preferences.current
        name = recipe or settings.recipe
        trainer = trainer_for(backend or settings.backend)  # type: ignore[arg-type]
        file = self._models.file()
        found, left_out = self._candidates(file.sha256, chat_ids)
        if limit is not None:
            found = found[:limit]
        estimates = Estimates(self._folder, file, trainer)
        planned = [chat for chat, _ in found]
        older = self._store.learned_state(file.sha256).keys() - {chat.id for chat in planned}
        start = self._start_from(name, file)[0]
        return LearnPlan(
            planned,
            left_out,
            estimates.job(start, [turns for _, turns in found], len(older)).total
            if planned
            else 0.0,
            disk_bytes(file),
            file.name,
            name,
            trainer,
            self._refusal(file, planned, chat_ids, trainer),
        )

    def start(
        self,
        plan: LearnPlan,
        on_progress: Callable[[Progress], None],
        on_end: Callable[[Outcome], None],
    ) -> Job:
        """Start learning in a thread of its own; callbacks come on that thread.

        Raises PlumError (the plan's refusal, a full disk) or Busy; then nothing has changed.
        """
        if plan.refusal:
            raise PlumError(plan.refusal)
        file = self._models.file()
        require_free(self._folder.root, plan.disk_bytes, "Learning")
        lock = self._acquire()
        try:
            recipe, parent, primed = self._start_from(plan.recipe, file)
            run_id = uuid.uuid4().hex[:12]
            settings = self._preferences.current
            job = JobFolder(self._folder.job(run_id))
            spec = JobSpec(
                run_id=run_id,
                model=str(file.path),
                model_sha256=file.sha256,
                backend=plan.backend,
                recipe=recipe,
                chats=tuple(chat.id for chat in plan.chats),
                parent_adapter=parent,
                primer=primed,
                persona=settings.persona or None,
            )
            job.write_spec(spec)
            run = Run(
                run_id, time.time(), "running", "select", file.sha256, plan.recipe, spec.chats
            )
            self._store.runs.create(run)
        except BaseException:
            lock.release()
            raise
        return self._begin(job, file, on_progress, on_end, lock)

    def resume(
        self,
        run_id: str,
        on_progress: Callable[[Progress], None],
        on_end: Callable[[Outcome], None],
    ) -> Job:
        """Go on with an interrupted job where it stopped.  Raises PlumError, Busy."""
        run = self._store.runs.get(run_id)
        if not run.unfinished:
            raise PlumError("That learning run has ended; start a new one.")
        lock = self._acquire()
        try:
            job = JobFolder(self._folder.job(run.id))
            spec = job.read_spec()
            file = self._models.file()
            if spec.model_sha256 != file.sha256:
                raise PlumError(
                    "The interrupted run was learning on another model; switch back to it, or "
                    "discard the run."
                )
            if why := cannot_learn(spec.backend):
                raise PlumError(
                    "{why}  The interrupted run can go on then, or be discarded.", why=why
                )
            job.paused.unlink(missing_ok=True)
            self._store.runs.update(run.id, state="running", error=None)
        except BaseException:
            lock.release()
            raise
        return self._begin(job, file, on_progress, on_end, lock)

    def interrupted(self) -> Run | None:
        """A job that was killed, or stopped by quitting, and can go on."""
        run = self._store.runs.unfinished()
        if run is None or self.running():
            return None
        return replace(run, state="interrupted")

    def running(self) -> bool:
        """Whether some process, this one included, is learning now."""
        return FileLock(self._folder.learning_lock).held_by_someone()

    def discard(self, run_id: str) -> None:
        """Drop an interrupted job and its folder.  Raises Busy while it runs."""
        run = self._store.runs.get(run_id)
        if self.running():
            raise Busy("Plum is learning right now; stop that first.")
        JobFolder(self._folder.job(run.id)).remove()
        self._store.runs.update(run.id, state="stopped", finished=time.time())

    def _start_from(self, name: str, file: ModelFile) -> tuple[Recipe, str | None, str | None]:
        """The recipe, and the folder of the parent adapter, or else of the primer, if any."""
        recipe = recipes.preset(name)
        if active := self._store.adapters.active(file.sha256):
            return recipe.going_on(), str(self._folder.adapter(active.id)), None
        if recipe.primed and (folder := primer.shipped(file.sha256)):
            return recipe, None, str(folder)
        return recipe, None, None

    def _acquire(self) -> FileLock:
        """The learning lock, for one job: a lock of its own keeps this process's others out too.

        Raises Busy.
        """
        lock = FileLock(self._folder.learning_lock)
        lock.acquire(Sentence("Plum is already learning; wait for it to end, or stop it first."))
        return lock

    def _begin(
        self,
        job: JobFolder,
        file: ModelFile,
        on_progress: Callable[[Progress], None],
        on_end: Callable[[Outcome], None],
        lock: FileLock,
    ) -> Job:
        # Here, since it needs numpy, and the window opens without.
        from plum_desktop.app.job import Job, JobParts

        spec = job.read_spec()
        parts = JobParts(
            self._folder, self._store, self._serving, Estimates(self._folder, file, spec.backend)
        )
        running = Job(parts, job, on_progress, on_end, lock.release)
        running.start()
        return running

    def _candidates(
        self, model_sha256: str, chat_ids: Sequence[str] | None
    ) -> tuple[list[tuple[PlannedChat, int]], list[tuple[Chat, str]]]:
        """What to learn, oldest first, each with how many turns it has; and who is left out."""
        seen = self._store.learned_state(model_sha256)
        undone = {
            (chat_id, leaf)
            for adapter in self._store.adapters.list(model_sha256)
            if adapter.state == "undone"
            for chat_id, leaf in self._store.adapters.seen(adapter.id).items()
        }
        asked = None
        if chat_ids is not None:
            asked = [self._store.chats.get(each).id for each in chat_ids if each != own.HOME]
        found: list[tuple[PlannedChat, int]] = []
        left_out: list[tuple[Chat, str]] = []

        def add(chat_id: str, title: str, looked: _Looked) -> None:
            tokens = looked.characters // _TOKEN
            found.append((PlannedChat(chat_id, title, tokens, chat_id not in seen), looked.turns))

        told = own.conversation(own.teachable(map(own.at_home, self._store.facts.of_chat(None))))
        if told and (chat_ids is None or own.HOME in chat_ids):
            leaf = told.leaf or ""
            known = seen.get(told.id) == leaf or (told.id, leaf) in undone
            if chat_ids is not None or not known:
                add(told.id, told.title, _Looked.at(None, told, ""))
        for chat, mark in self._store.chats.walk(asked):
            if chat_ids is None and not chat.learn:
                left_out.append((chat, Sentence("you excluded it")))
                continue
            if chat_ids is None and chat.leaf and seen.get(chat.id) == chat.leaf:
                continue
            looked = self._look_at(chat, mark)
            if looked.reason:
                left_out.append((chat, looked.reason))
            elif chat_ids is None and seen.get(chat.id) == looked.leaf:
                continue
            elif chat_ids is None and (chat.id, looked.leaf) in undone:
                left_out.append((chat, Sentence("you undid learning it")))
            else:
                add(chat.id, chat.title, looked)
        return found, left_out

    def _look_at(self, chat: Chat, mark: int) -> _Looked:
        """What a chat would teach; read only where `mark` is not what it was the last time."""
        before = self._looked.get(chat.id)
        if before is None or before.mark != mark:
            known = learnable(chat, self._store.chats.branch(chat.id))
            self._looked[chat.id] = before = _Looked.at(mark, *known)
        return before

    def _refusal(
        self,
        file: ModelFile,
        planned: Sequence[PlannedChat],
        chat_ids: Sequence[str] | None,
        trainer: Trainer,
    ) -> str | None:
        if why := self._models.why_not(file):
            return why
        if why := cannot_learn(trainer):
            return why
        if not planned:
            if chat_ids:
                return Sentence(
                    "There is nothing to learn in these chats; tell Plum a little more first."
                )
            return Sentence("There is nothing new to learn; chat a little first.")
        return None


def disk_bytes(file: ModelFile) -> int:
    """Adapter in two forms, checkpoint, rows, and a merged model at 8 bits where it was 4."""
    return 200_000_000 + 2 * file.size
