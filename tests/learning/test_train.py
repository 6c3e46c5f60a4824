"""The loop that every trainer shares, with a small trainer whose weights can be followed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from plum_desktop.base.errors import Cancelled, DamagedFile, DiskFull, PlumError
from plum_desktop.base.files import read_json, write_json
from plum_desktop.learning import train as loop
from plum_desktop.learning.recipe import preset
from plum_desktop.learning.rows import Plan, Row
from plum_desktop.learning.train import rate, train
from plum_desktop.learning.trainers import StepResult

RECIPE = replace(preset("default"), learning_rate=1.0, warmup_steps=2)
STEPS = 6


class Small:
    """A trainer whose one weight depends on every batch, its order and every rate."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.weight = 1.0
        self.seen: list[int] = []
        self.loaded = 0
        self.clock = clock
        self.losses: dict[int, float] = {}

    def step(self, rows, learning_rate: float) -> StepResult:
        number = int(rows[0].ids[0])
        loss = self.losses.get(number, 1.0 / (1 + number))
        self.seen.append(number)
        self.weight = self.weight * 1.25 + learning_rate * number + loss
        if self.clock:
            self.clock.now += 2.0
        return StepResult(loss, 0.5 * loss, 10)

    def save_checkpoint(self, path: Path, step: int) -> None:
        write_json(path, {"weight": self.weight, "step": step})

    def load_checkpoint(self, path: Path) -> int:
        state = read_json(path)
        self.weight = state["weight"]
        self.loaded = state["step"]
        return state["step"]

    def save_adapter(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        write_json(folder / "weight.json", self.weight)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self.until = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Watch:
    """Keeps what is told; `on` runs at every telling, `stop_at` cancels before that step."""

    on: Callable[[str], None] = lambda text: None
    stop_at: int | None = None
    told: list[tuple[float, str, dict]] = field(default_factory=list)

    def progress(self, fraction: float, text: str = "", **fields: float | int | None) -> None:
        self.told.append((fraction, text, fields))
        self.on(text)

    def check(self) -> None:
        if self.stop_at is not None and self.steps >= self.stop_at:
            raise Cancelled

    @property
    def steps(self) -> int:
        return sum(text == "learning" for _, text, _ in self.told)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(loop, "time", made)
    return made


@pytest.fixture(autouse=True)
def rows(job) -> None:
    rows = [Row(np.full(2, n, np.int32), np.ones(2, np.float32)) for n in range(STEPS)]
    Plan(rows, [[number] for number in range(STEPS)]).save(job.rows)


def run(job, trainer: Small, watch: Watch) -> loop.TrainResult:
    return train(job, lambda: trainer, RECIPE, watch)


def weight(job) -> float:
    return read_json(job.adapter / "weight.json")


@pytest.fixture
def uninterrupted(job) -> float:
    run(job, Small(), Watch())
    found = weight(job)
    (job.adapter / "weight.json").unlink()
    job.losses.unlink()
    return found


def test_every_step_in_order_at_its_rate(job, clock) -> None:
    trainer, watch = Small(clock), Watch()
    result = run(job, trainer, watch)
    assert trainer.seen == list(range(STEPS))
    expected = 1.0
    for number in range(STEPS):
        expected = expected * 1.25 + rate(RECIPE, number, STEPS) * number + 1 / (1 + number)
    assert weight(job) == pytest.approx(expected)
    assert (result.steps, result.tokens, result.seconds) == (STEPS, 60, 12.0)
    kept = [json.loads(line) for line in job.losses.read_text().splitlines()]
    assert [entry["step"] for entry in kept] == list(range(STEPS))
    assert [entry["loss"] for entry in kept] == [1 / (1 + n) for n in range(STEPS)]
    assert result.loss == pytest.approx((1 / 3 + 1 / 4) / 2)
    assert result.drift == pytest.approx(result.loss / 2)
    assert not job.checkpoint.exists()


def test_progress_says_how_much_longer(job, clock) -> None:
    watch = Watch()
    run(job, Small(clock), watch)
    told = [(share, fields) for share, _, fields in watch.told]
    assert [share for share, _ in told] == pytest.approx([(n + 1) / STEPS for n in range(STEPS)])
    assert [fields["seconds_left"] for _, fields in told] == [10.0, 8.0, 6.0, 4.0, 2.0, 0.0]
    assert [fields["loss"] for _, fields in told] == [1.0, 0.5, 0.3333, 0.25, 0.2, 0.1667]


def test_steps_of_two_lengths_are_told_apart(job, clock) -> None:
    """A median of their times would forget about one kind or the other."""

    class Honest(Small):
        def step(self, rows, learning_rate: float) -> StepResult:
            clock.now += sum(len(row.ids) for row in rows) - 2.0
            return super().step(rows, learning_rate)

    plan = Plan.load(job.rows)
    short, long = plan.rows[0], [plan.rows[0]] * 3
    Plan([short, *long], [[0], [1, 2, 3]] * 3).save(job.rows)
    each = len(short.ids)
    watch = Watch()
    result = run(job, Honest(clock), watch)
    told = [fields["seconds_left"] for _, _, fields in watch.told]
    assert told == pytest.approx([each * steps for steps in (11, 8, 7, 4, 3, 0)])
    assert result.step_seconds == pytest.approx(2 * each)


def test_pauses_between_and_within_steps_are_not_counted(job, clock) -> None:
    class Met(Small):
        def step(self, rows, learning_rate: float) -> StepResult:
            if len(self.seen) == 1:
                job.paused.touch()
            if len(self.seen) == 4:
                clock.now += 3600  # the process was held still
            return super().step(rows, learning_rate)

    def sleep(seconds: float) -> None:
        clock.now += 3600
        job.paused.unlink()

    clock.sleep = sleep
    watch = Watch()
    result = run(job, Met(clock), watch)
    left = [fields["seconds_left"] for _, _, fields in watch.told]
    assert left == [10.0, 8.0, 6.0, 4.0, 2.0, 0.0]
    assert result.step_seconds == 2.0
    assert result.seconds > 7200


def test_the_pause_file_holds_training_until_it_goes(job, clock) -> None:
    job.paused.touch()
    trainer = Small()
    real = clock.sleep

    def sleep(seconds: float) -> None:
        real(seconds)
        if clock.now > 105:
            job.paused.unlink(missing_ok=True)
        assert trainer.seen == []

    clock.sleep = sleep
    run(job, trainer, Watch())
    assert clock.now > 105
    assert trainer.seen == list(range(STEPS))


def test_cancelling_writes_a_checkpoint_and_resuming_goes_on_behind_it(job, uninterrupted) -> None:
    for stop in (2, 3):
        first = Small()
        with pytest.raises(Cancelled):
            run(job, first, Watch(stop_at=stop))
        assert len(first.seen) == stop
        assert read_json(job.checkpoint)["step"] == first.seen[-1] + 1
        assert not job.adapter.joinpath("weight.json").exists()
    last = Small()
    result = run(job, last, Watch())
    assert last.loaded == 5
    assert last.seen == [5]
    assert weight(job) == uninterrupted
    kept = [json.loads(line) for line in job.losses.read_text().splitlines()]
    assert [entry["step"] for entry in kept] == list(range(STEPS))
    assert result.steps == STEPS


def test_cancelling_before_the_first_step_leaves_nothing(job) -> None:
    trainer = Small()
    with pytest.raises(Cancelled):
        run(job, trainer, Watch(stop_at=0))
    assert trainer.seen == []
    assert not job.checkpoint.exists()


def test_cancelling_works_while_it_is_paused(job, clock) -> None:
    watch = Watch(lambda _: job.paused.touch() if watch.steps == 2 else None)

    def sleep(seconds: float) -> None:
        watch.stop_at = 0

    clock.sleep = sleep
    with pytest.raises(Cancelled):
        run(job, Small(), watch)
    assert read_json(job.checkpoint)["step"] == 2


def test_a_killed_process_loses_no_more_than_the_time_between_checkpoints(
    job, clock, uninterrupted
) -> None:
    class Killed(BaseException):
        pass

    saved: list[int] = []

    class Dying(Small):
        def save_checkpoint(self, path: Path, step: int) -> None:
            if not saved or step == saved[-1] + 2:
                super().save_checkpoint(path, step)
                saved.append(step)

        def step(self, rows, learning_rate: float) -> StepResult:
            clock.now += loop.CHECKPOINT_SECONDS * 0.6
            if int(rows[0].ids[0]) == 5:
                # As after kill -9: nothing that this process would still do happens.
                self.save_checkpoint = lambda path, step: None
                raise Killed
            return super().step(rows, learning_rate)

    with pytest.raises(Killed):
        run(job, Dying(), Watch())
    assert saved == [2, 4]  # a step takes 0.6 of the time between checkpoints
    rest = Small()
    run(job, rest, Watch())
    assert rest.seen == [4, 5]
    assert weight(job) == uninterrupted


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_it_and_spoils_no_checkpoint(job, bad: float) -> None:
    with pytest.raises(Cancelled):
        run(job, Small(), Watch(stop_at=2))
    before = job.checkpoint.read_bytes()
    trainer = Small()
    trainer.losses[3] = bad
    with pytest.raises(PlumError, match="no longer a number"):
        run(job, trainer, Watch())
    assert trainer.seen[-1] == 3
    assert not job.adapter.joinpath("weight.json").exists()
    state = read_json(job.checkpoint)
    assert math.isfinite(state["weight"])
    assert job.checkpoint.read_bytes() == before


def test_a_full_disk_is_said(job, clock) -> None:
    class Full(Small):
        def save_checkpoint(self, path: Path, step: int) -> None:
            raise DiskFull("The disk is full.")

    clock_step = Full(clock)
    clock_step.step = lambda rows, learning_rate: (
        setattr(clock, "now", clock.now + 99) or StepResult(1.0, 0.0, 1)
    )
    with pytest.raises(DiskFull):
        run(job, clock_step, Watch())


def test_damaged_rows_are_said(job) -> None:
    job.rows.write_bytes(b"no rows")
    with pytest.raises(DamagedFile):
        run(job, Small(), Watch())


def test_a_job_whose_steps_are_all_done_only_writes_its_adapter(job, uninterrupted) -> None:
    done = Small()
    done.weight = uninterrupted
    done.save_checkpoint(job.checkpoint, STEPS)
    trainer = Small()
    run(job, trainer, Watch())
    assert trainer.seen == []
    assert weight(job) == uninterrupted
