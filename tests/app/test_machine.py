from __future__ import annotations

import os
import sys
from collections import namedtuple
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plum_desktop.app import machine

Battery = namedtuple("Battery", "percent secsleft power_plugged")
Reading = namedtuple("Reading", "label current high critical")


def refuse() -> None:
    raise OSError("no such sensor")


def test_this_machine_answers_or_says_nothing() -> None:
    assert machine.on_power() in (True, False, None)
    assert (load := machine.load()) is None or 0 <= load <= 1
    assert (idle := machine.idle_seconds()) is None or idle >= 0
    assert (heat := machine.hottest()) is None or 0 < heat < 150


@pytest.mark.parametrize(
    ("battery", "told"),
    [(None, True), (Battery(80, 1, True), True), (Battery(80, 1, False), False),
     (Battery(80, 1, None), None)],
)  # fmt: skip
def test_power(monkeypatch: pytest.MonkeyPatch, battery: object, told: bool | None) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert machine.on_power() is told


def test_the_processor_and_nothing_else_is_hot(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = {
        "nvme": [Reading("", 99.0, None, None)],
        "coretemp": [Reading("Package", 61.0, 80.0, 90.0), Reading("Core 0", 64.0, 80.0, 90.0)],
        "k10temp": [Reading("", 0.0, None, None)],
    }
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: readings, raising=False)
    assert machine.hottest() == 64.0
    monkeypatch.setattr(psutil, "sensors_temperatures", dict, raising=False)
    assert machine.hottest() is None


def test_a_system_without_sensors_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "sensors_temperatures", refuse, raising=False)
    monkeypatch.setattr(psutil, "sensors_battery", refuse, raising=False)
    monkeypatch.setattr(psutil, "getloadavg", refuse, raising=False)
    assert (machine.hottest(), machine.on_power(), machine.load()) == (None, None, None)


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [("1234\n", 1.234), ("(uint64 65000,)\n", 65.0), ("(uint32 7,)", 0.007),
     ("couldn't open display", None), ("", None), (None, None)],
)  # fmt: skip
def test_what_linux_says(answer: str | None, seconds: float | None) -> None:
    assert machine.linux_idle(answer) == seconds


def test_what_a_mac_says() -> None:
    assert machine.mac_idle('    | |   "HIDIdleTime" = 2500000000\n') == 2.5
    assert machine.mac_idle(None) is None


@given(st.text(max_size=60))
def test_whatever_is_printed_is_a_time_or_unknown(answer: str) -> None:
    for read in (machine.linux_idle, machine.mac_idle):
        assert (seconds := read(answer)) is None or seconds >= 0


@pytest.mark.skipif(sys.platform != "linux", reason="asks as on Linux")
def test_the_program_for_x_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "xprintidle"
    program.write_text("#!/bin/sh\necho 90000\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert machine.idle_seconds() == 90.0
    program.write_text("#!/bin/sh\nexit 1\n")
    assert machine.idle_seconds() is None
    program.write_text("#!/bin/sh\nsleep 20\n")
    monkeypatch.setattr(machine, "_PATIENCE", 0.2)
    assert machine.idle_seconds() is None
