"""What is shipped beside the code: one version, known licences, files that each system reads.

That a bundle works is `make test-bundle`'s to show.
"""

from __future__ import annotations

import configparser
import importlib.util
import io
import plistlib
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from plum_desktop import __version__
from plum_desktop.base import paths

ROOT = Path(__file__).parents[1]
PACKAGING = ROOT / "packaging"


def load(name: str) -> ModuleType:
    path = PACKAGING / name
    spec = importlib.util.spec_from_file_location(f"plum_packaging_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", list(sys.path))
    return load("linux/package.py")


def test_the_newest_change_is_this_version(package: ModuleType) -> None:
    number, _, points = package.releases()[0]
    assert number == __version__
    assert points
    headings = re.findall(r"^## ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert len(package.releases()) == len(headings)


def test_the_desktop_file(package: ModuleType) -> None:
    entry = configparser.ConfigParser(interpolation=None)
    entry.optionxform = str  # type: ignore[assignment]
    entry.read(package.DESKTOP)
    fields = entry["Desktop Entry"]
    assert fields["Type"] == "Application"
    assert fields["Exec"] == "plum-desktop"
    assert fields["Icon"] == fields["StartupWMClass"] == package.APP_ID
    assert all(fields[name].endswith(";") for name in ("Categories", "Keywords"))
    if tool := shutil.which("desktop-file-validate"):
        subprocess.run([tool, package.DESKTOP], check=True)


def test_the_window_bears_the_name_of_its_desktop_file(package: ModuleType) -> None:
    text = (ROOT / "plum_desktop" / "ui" / "application.py").read_text()
    assert f'setDesktopFileName("{package.APP_ID}")' in text


def test_the_metainfo(package: ModuleType, tmp_path: Path) -> None:
    text = package.metainfo("2026-01-31")
    component = ElementTree.fromstring(text)
    assert component.findtext("id") == package.APP_ID
    assert component.findtext("launchable") == package.DESKTOP.name
    releases = component.findall("releases/release")
    assert releases[0].get("version") == __version__
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", release.get("date", "")) for release in releases)
    assert releases[0].findall("description/ul/li")
    if tool := shutil.which("appstreamcli"):
        path = tmp_path / package.METAINFO.name
        path.write_text(text)
        done = subprocess.run(
            [tool, "validate", "--no-net", str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A small folder like the one that is built, link included."""
    folder = tmp_path / "bundle"
    (folder / "_internal" / "lib").mkdir(parents=True)
    program = folder / "plum-desktop"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (folder / "_internal" / "THIRD_PARTY.txt").write_text("licences")
    (folder / "_internal" / "lib" / "a.so.1").write_bytes(b"x" * 3001)
    (folder / "_internal" / "lib" / "a.so").symlink_to("a.so.1")
    return folder


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's packages")
def test_tarball_and_deb(package: ModuleType, bundle: Path, tmp_path: Path) -> None:
    share = {f"applications/{package.DESKTOP.name}": package.DESKTOP.read_bytes()}
    out = tmp_path / "plum-desktop-1-linux.tar.xz"
    package.write_tarball(bundle, out, 1_700_000_000, share)
    with tarfile.open(out) as tar:
        entries = {entry.name: entry for entry in tar.getmembers()}
        assert entries["./plum-desktop-1-linux/plum-desktop"].mode == 0o755
        assert entries["./plum-desktop-1-linux/_internal/lib/a.so"].linkname == "a.so.1"
        assert {entry.mtime for entry in entries.values()} == {1_700_000_000}
        tar.extractall(tmp_path / "out", filter="data")
    lib = tmp_path / "out" / "plum-desktop-1-linux" / "_internal" / "lib"
    assert (lib / "a.so").read_bytes() == b"x" * 3001

    debs = [tmp_path / name for name in ("one.deb", "two.deb")]
    for deb in debs:
        package.write_deb(bundle, deb, 1_700_000_000, share)
    assert debs[0].read_bytes() == debs[1].read_bytes()
    members = ar(debs[0])
    assert list(members) == ["debian-binary", "control.tar.xz", "data.tar.xz"]
    with tarfile.open(fileobj=io.BytesIO(members["data.tar.xz"])) as tar:
        names = tar.getnames()
        assert tar.getmember("./usr/bin/plum-desktop").linkname.endswith("/plum-desktop")
    assert "./usr/share/doc/plum-desktop/copyright" in names
    assert len(names) == len(set(names))
    if tool := shutil.which("dpkg-deb"):
        said = subprocess.run(
            [tool, "--field", debs[0]], capture_output=True, text=True, check=True
        ).stdout
        assert f"Version: {__version__}" in said
        unpacked = tmp_path / "unpacked"
        subprocess.run([tool, "--extract", debs[0], unpacked], check=True)
        assert (unpacked / "usr/bin/plum-desktop").resolve().read_text() == "#!/bin/sh\n"


def ar(path: Path) -> dict[str, bytes]:
    """The members of an `ar` archive, read by its own rules."""
    data, at, members = path.read_bytes(), 8, {}
    assert data.startswith(b"!<arch>\n")
    while at < len(data):
        head = data[at : at + 60]
        assert head.endswith(b"`\n")
        size = int(head[48:58])
        members[head[:16].decode().strip()] = data[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    return members


def test_everything_bundled_has_a_known_licence(tmp_path: Path) -> None:
    licences = load("licences.py")
    names = {each.metadata["Name"].lower() for each in licences.bundled()}
    assert {"torch", "llama_cpp_python", "pyside6_essentials", "httpx", "transformers"} <= names
    assert names.isdisjoint({"pytest", "hypothesis", "mypy", "ruff"})
    out = tmp_path / "THIRD_PARTY.txt"
    licences.main([str(out)])
    text = out.read_text(encoding="utf-8")
    assert "SmolLM2" in text
    assert "GNU LESSER" in text or "LGPL-3.0" in text
    assert all(
        f"\n\n{each.metadata['Name']} {each.version}: " in text for each in licences.bundled()
    )


def test_an_unknown_licence_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    licences = load("licences.py")
    monkeypatch.setattr(licences, "licence", lambda _: "All rights reserved")
    with pytest.raises(SystemExit, match="No known licence"):
        licences.main([])


@pytest.mark.skipif(shutil.which("gcc") is None or shutil.which("objdump") is None, reason="gcc")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ELF")
def test_a_library_for_newer_processors_is_found(tmp_path: Path) -> None:
    from platform import machine

    if machine() != "x86_64":
        pytest.skip("x86-64's instructions")
    check = load("check_native.py")
    source = tmp_path / "sum.c"
    source.write_text("void f(float *a, float *b) { for (int i = 0; i < 4096; i++) a[i] += b[i]; }")
    found = []
    for flags in (["-mavx2"], ["-mavx512f", "-mprefer-vector-width=512"]):
        folder = tmp_path / flags[0]
        folder.mkdir()
        out = folder / "libggml-cpu.so"
        subprocess.run(["gcc", "-O3", *flags, "-shared", "-fPIC", "-o", out, source], check=True)
        found.append(check.count(out))
        if found[-1]:
            with pytest.raises(SystemExit, match="GGML_NATIVE=OFF"):
                check.main(folder)
        else:
            check.main(folder)
    assert found[0] == 0
    assert found[1] > 0
    with pytest.raises(SystemExit, match="no ggml-cpu"):
        check.main(tmp_path / "nothing")


def test_the_pictures(tmp_path: Path) -> None:
    icons = load("icons.py")
    made = icons.make_icons(tmp_path)
    assert made["ico"].read_bytes()[:4] == b"\0\0\1\0"
    assert made["icns"].read_bytes()[:4] == b"icns"
    assert len(list(tmp_path.glob("plum-*.png"))) == len(icons.SIZES)


def test_the_macs_files() -> None:
    with (PACKAGING / "macos" / "entitlements.plist").open("rb") as stream:
        assert all(value is True for value in plistlib.load(stream).values())
    if bash := shutil.which("bash"):
        subprocess.run([bash, "-n", PACKAGING / "macos" / "release.sh"], check=True)


def test_the_installer_of_windows_takes_what_is_built() -> None:
    text = (PACKAGING / "windows" / "plum-desktop.iss").read_text()
    spec = (PACKAGING / "plum-desktop.spec").read_text()
    assert 'program("Plum Desktop"' in spec
    assert r"{app}\Plum Desktop.exe" in text
    for heading in ("Setup", "Files", "Icons", "Code"):
        assert f"\n[{heading}]\n" in text


@pytest.mark.parametrize(
    ("system", "program"), [("linux", "/app/plum-desktop"), ("win32", "/app/plum-desktop.exe")]
)
def test_children_of_a_bundle(monkeypatch: pytest.MonkeyPatch, system: str, program: str) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(
        sys, "executable", "/app/Plum Desktop.exe" if system == "win32" else program
    )
    assert [Path(part).as_posix() for part in paths.worker_command("engine")] == [
        program, "_worker", "engine",
    ]  # fmt: skip
