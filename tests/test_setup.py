"""The set-up script says in one sentence what a machine lacks, and the command that installs it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "setup.py"


@pytest.fixture
def setup(tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("plum_setup", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.QT_STAMP = tmp_path / "qt"
    return module


def only(*tools: str):
    return lambda name: f"/usr/bin/{name}" if name in tools else None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's package managers")
@pytest.mark.parametrize(
    ("tool", "command"),
    [("apt-get", "sudo apt-get install build-essential"), ("dnf", "sudo dnf install gcc")],
)
def test_no_compiler(setup, monkeypatch: pytest.MonkeyPatch, tool: str, command: str) -> None:
    monkeypatch.setattr(setup.shutil, "which", only(tool))
    with pytest.raises(setup.Missing, match=command):
        setup.require_compiler()
    monkeypatch.setattr(setup.shutil, "which", only(tool, "clang++"))
    setup.require_compiler()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's package managers")
def test_no_qt_libraries(setup, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "ImportError: libEGL.so.1: cannot open shared object file: No such file or directory"
    failed = SimpleNamespace(returncode=1, stderr=f"Traceback\n{said}\n")
    monkeypatch.setattr(setup.subprocess, "run", lambda *_, **__: failed)
    monkeypatch.setattr(setup.shutil, "which", only("apt-get"))
    with pytest.raises(setup.Missing, match=r"lacks libEGL.so.1 .* apt-get install .*libegl1"):
        setup.check_qt()
    assert not setup.QT_STAMP.exists()


def test_qt_here_starts_and_is_not_asked_again(setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "PYTHON", Path(sys.executable))
    setup.check_qt()
    monkeypatch.setattr(setup.subprocess, "run", None)
    setup.check_qt()


def test_an_old_python_hands_over_or_is_named(setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup.sys, "version_info", (3, 9, 1))
    monkeypatch.setattr(setup.shutil, "which", only())
    with pytest.raises(setup.Missing, match="needs Python 3.11 to 3.14 and this is 3.9"):
        setup.use_fitting_python()
    called: list[list[str]] = []
    monkeypatch.setattr(setup.shutil, "which", only("python3.12"))
    monkeypatch.setattr(setup.subprocess, "call", lambda command: called.append(command) or 0)
    with pytest.raises(SystemExit) as stop:
        setup.use_fitting_python()
    assert stop.value.code == 0
    assert called[0][0] == "/usr/bin/python3.12"


def test_a_failing_step_names_its_log(setup, tmp_path: Path, capsys) -> None:
    setup.LOG = tmp_path / "log"
    failing = [sys.executable, "-c", "print('the reason'); raise SystemExit(3)"]
    with pytest.raises(setup.Missing, match="whole output is in"):
        setup.step("a part", failing)
    assert "the reason" in capsys.readouterr().err
    assert setup.step("a part", failing, may_fail=True) is False
    assert setup.step("a part", [sys.executable, "-c", ""]) is True
    asks = [sys.executable, "-c", "import os; os.environ['PLUM_OF_A_STEP']"]
    assert setup.step("a part", asks, may_fail=True) is False
    assert setup.step("a part", asks, environment={"PLUM_OF_A_STEP": "set"}) is True


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("NewConnectionError(': [Errno -3] Temporary failure in name resolution')", "internet"),
        ("ReadTimeoutError: HTTPSConnectionPool: Read timed out.", "internet"),
        (
            "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))",
            "certificate",
        ),
        ("g++: fatal error: Killed signal terminated program cc1plus", "memory ran out"),
    ],
)
def test_a_known_reason_is_one_sentence(setup, tmp_path: Path, output: str, sentence: str) -> None:
    setup.LOG = tmp_path / "log"
    setup.LOG.write_text("No space left on device, of an earlier try")
    with pytest.raises(setup.Missing, match=sentence):
        setup.step("a part", [sys.executable, "-c", f"print({output!r}); exit(1)"], may_fail=True)


def test_no_space(setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_200_000_000))
    with pytest.raises(setup.Missing, match=r"needs 4 GB .* 1\.2 GB are free"):
        setup.require_space()


def test_a_disk_too_full_for_the_log(setup, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(28, "No space left on device")

    def fail() -> None:
        raise full

    monkeypatch.setattr(setup, "use_fitting_python", fail)
    with pytest.raises(SystemExit, match="disk is full"):
        setup.main()


def test_changed_pins_ask_for_another_setup(setup, tmp_path: Path) -> None:
    names = ("pyproject.toml", "constraints.txt", "scripts/setup.py", "scripts/llama.cmake")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    setup.ROOT = tmp_path
    before = setup.fingerprint()
    assert setup.fingerprint() == before
    (tmp_path / "constraints.txt").write_text("torch==3")
    assert setup.fingerprint() != before


def test_an_old_python_can_read_the_script() -> None:
    # `make` may start it with any Python 3.7 or later, only to be told which one is needed.
    import ast

    ast.parse(SCRIPT.read_text(), feature_version=(3, 7))


def test_who_says_how_llama_is_compiled_gets_it_so(setup, tmp_path: Path, monkeypatch) -> None:
    ran: list[tuple[list[str], dict[str, str]]] = []

    def step(text: str, command: list[str], *, may_fail: bool = False, environment=None) -> bool:
        ran.append((command, environment or {}))
        return not may_fail  # nothing is there ready-made

    monkeypatch.setattr(setup, "step", step)
    monkeypatch.setattr(setup.shutil, "which", only("c++"))
    setup.ENGINE_NOTE = tmp_path / "note"
    setup.install_engine("-DGGML_NATIVE=OFF")
    ((command, environment),) = ran
    # What pip kept of an earlier time may have been compiled otherwise.
    assert {"--no-cache-dir", "--force-reinstall"} <= set(command)
    assert "-DGGML_NATIVE=OFF" in environment["CMAKE_ARGS"].split()
    include = environment["CMAKE_ARGS"].split("-DCMAKE_PROJECT_INCLUDE=")[1]
    assert Path(include).is_file()
    assert "-DGGML_NATIVE=OFF" in setup.ENGINE_NOTE.read_text().split()

    ran.clear()
    setup.install_engine("")
    assert ["--only-binary=llama-cpp-python,numpy" in command for command, _ in ran] == [
        True,
        False,
    ]
    assert "--no-cache-dir" not in ran[1][0]
    assert "GGML_NATIVE" not in setup.ENGINE_NOTE.read_text()
