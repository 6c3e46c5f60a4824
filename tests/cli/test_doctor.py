"""The doctor on a machine that is well, and with every ailment that can be given to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from plum_desktop.app import doctor
from plum_desktop.app.doctor import PARTS, Finding, examine
from plum_desktop.app.product import Plum
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import Adapter


def found(root: Path, part: str) -> list[Finding]:
    return examine(root, [part])


def bad(findings: list[Finding]) -> Finding:
    """The one finding that is not well, with what mends it."""
    (only,) = [finding for finding in findings if finding.state != "ok"]
    assert only.fix
    return only


def test_a_machine_that_is_well(run) -> None:
    rows = run("doctor", "--json").rows
    assert {row["name"] for row in rows} == set(PARTS)
    assert [row for row in rows if row["state"] == "fail"] == []
    said = " ".join(row["what"] for row in rows)
    assert "llama-cpp-python" in said
    assert "loads and answers" in said
    assert "torch trains here, on: cpu" in said
    assert "Every page" in said


def test_in_words_with_the_fix_and_the_status(run, data_folder: DataFolder) -> None:
    assert run("doctor", "Disk", "Program").status == 0
    data_folder.database.write_text("no database " * 500)
    ran = run("doctor", "Chats", "Program")
    assert ran.status == 1
    assert ran.out.startswith("ok    Program: plum-desktop")
    assert "FAIL  Chats: " in ran.out
    assert "      Fix: " in ran.out
    assert ran.err.startswith("plum-desktop: Chats: ")
    assert "no part 'Weather'" in run("doctor", "Weather").err


def test_the_help_names_every_part(run) -> None:
    text = " ".join(run("doctor", "--help").out.split())
    assert all(part in text for part in PARTS)


def test_a_page_that_went_bad(plum: Plum, data_folder: DataFolder) -> None:
    store = plum.store
    chat = store.chats.create("Talk")
    for number in range(60):
        store.chats.add_message(chat.id, "user", f"{number} " + "and so on " * 200)
    plum.close()
    with data_folder.database.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(size // 2)
        stream.write(os.urandom(3 * 4096))
    finding = bad(found(data_folder.root, "Chats"))
    assert finding.state == "fail"
    assert "damaged" in finding.what
    assert "what can be read is saved" in finding.fix


def test_a_missing_model(data_folder: DataFolder) -> None:
    data_folder.settings.write_text('{"model": "gone.gguf"}')
    finding = bad(found(data_folder.root, "Model"))
    assert (finding.state, finding.what) == ("fail", "The model gone.gguf is missing.")
    assert "models add" in finding.fix
    assert [each.state for each in found(data_folder.root, "Disk")] == ["ok"]


def test_a_model_that_broke_off(data_folder: DataFolder, starter: Path) -> None:
    with starter.open("rb") as whole:
        (data_folder.models / "half.gguf").write_bytes(whole.read(20_000_000))
    data_folder.settings.write_text('{"model": "half.gguf"}')
    finding = bad(found(data_folder.root, "Model"))
    assert finding.state == "fail"
    assert "half.gguf" in finding.what


def test_a_processor_that_lacks_what_the_engine_needs(
    data_folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A child that ends at once is what an illegal instruction looks like from here.
    monkeypatch.setattr(
        "plum_desktop.engine.client.worker_command",
        lambda *_: [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), 4)"],
    )
    finding = bad(found(data_folder.root, "Model"))
    assert finding.state == "fail"
    assert "AVX2" in finding.fix


def test_no_torch(data_folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor.importlib.util.find_spec
    hidden = ("torch", "mlx")
    monkeypatch.setattr(
        doctor.importlib.util, "find_spec", lambda name: None if name in hidden else real(name)
    )
    finding = bad(found(data_folder.root, "Trainer"))
    assert finding.state == "warn"
    assert "torch" in finding.what
    assert "pip install" in finding.fix


def test_a_torch_that_does_not_load(data_folder: DataFolder, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch.so is cut short')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(doctor, "NEEDED", {"torch": ("torch",)})
    finding = bad(found(data_folder.root, "Trainer"))
    assert finding.state == "fail"
    assert "torch does not work" in finding.what
    assert "pip install --force-reinstall" in finding.fix


def test_qt_that_does_not_start(data_folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [each.state for each in found(data_folder.root, "Window")] == ["ok"]
    monkeypatch.setenv("QT_QPA_PLATFORM", "no-such-platform")
    finding = bad(found(data_folder.root, "Window"))
    assert finding.state == "fail"
    assert "QT_DEBUG_PLUGINS" in finding.fix


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = bad(examine(tmp_path / "file" / "data"))
    assert (finding.name, finding.state) == ("Data folder", "fail")
    assert "--data-dir" in finding.fix


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="needs a user whom permissions bind"
)
def test_a_folder_that_is_read_only(data_folder: DataFolder) -> None:
    data_folder.root.chmod(0o500)
    try:
        finding = bad(found(data_folder.root, "Data folder"))
        rest = examine(data_folder.root)
    finally:
        data_folder.root.chmod(0o700)
    assert finding.state == "fail"
    assert "cannot be written" in finding.what
    assert {each.name for each in rest} == set(PARTS)


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="a folder that even root cannot write")
def test_a_folder_of_the_systems() -> None:
    finding = examine(Path("/sys/kernel"), ["Data folder"])[0]
    assert finding.state == "fail"
    assert "cannot be written" in finding.what


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_folder_that_others_may_read(data_folder: DataFolder) -> None:
    data_folder.root.chmod(0o755)
    assert "chmod 700" in bad(found(data_folder.root, "Data folder")).fix


def test_settings_that_are_no_json(data_folder: DataFolder) -> None:
    data_folder.settings.write_text("{")
    assert "settings.json is damaged" in bad(found(data_folder.root, "Data folder")).what


def test_little_disk_and_memory(data_folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    usage, memory = doctor.shutil.disk_usage(data_folder.root), psutil.virtual_memory()
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage._replace(free=350_000_000))
    assert "before you learn" in bad(found(data_folder.root, "Disk")).fix
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    assert bad(found(data_folder.root, "Disk")).state == "fail"
    small = memory._replace(total=100_000_000, available=50_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: small)
    states = [each.state for each in found(data_folder.root, "Memory")]
    assert states == ["warn", "fail"]


def test_an_adapter_whose_files_are_gone(
    plum: Plum, learn: Callable[..., Adapter], data_folder: DataFolder
) -> None:
    adapter = learn()
    assert [each.state for each in found(data_folder.root, "Chats")] == ["ok"]
    (data_folder.adapter(adapter.id) / "adapter.gguf").unlink()
    finding = bad(found(data_folder.root, "Chats"))
    assert adapter.id in finding.what
    assert "rollback" in finding.fix


def test_a_crash_that_nobody_has_seen(data_folder: DataFolder) -> None:
    (data_folder.logs / "crash.txt").write_text("ValueError")
    assert "crash.txt" in bad(found(data_folder.root, "Crashes")).fix
