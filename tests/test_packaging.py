"""What is shipped beside the code: one version, known licences, files that each system reads.

That a bundle works is `make test-bundle`'s to show.
"""

from __future__ import annotations

import configparser
import importlib.util
import io
import os
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
    deep = folder / "_internal" / "transformers" / ("m" * 50) / ("n" * 60)
    deep.mkdir(parents=True)
    (deep / "long.py").write_text("")
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
        assert not any(entry.pax_headers for entry in tar.getmembers())  # which dpkg refuses
        assert tar.getmember("./usr/bin/plum-desktop").linkname.endswith("/plum-desktop")
    assert "./usr/share/doc/plum-desktop/copyright" in names
    assert max(map(len, names)) > 100
    assert len(names) == len(set(names))
    if tool := shutil.which("dpkg-deb"):
        said = subprocess.run(
            [tool, "--field", debs[0]], capture_output=True, text=True, check=True
        ).stdout
        assert f"Version: {__version__}" in said
        unpacked = tmp_path / "unpacked"
        subprocess.run([tool, "--extract", debs[0], unpacked], check=True)
        assert (unpacked / "usr/bin/plum-desktop").resolve().read_text() == "#!/bin/sh\n"


@pytest.mark.skipif(os.name == "nt", reason="links ask for a right there")
def test_a_library_that_lies_there_twice_is_linked(bundle: Path) -> None:
    lib = bundle / "_internal" / "lib"
    for name, content in (("b.so", b"y" * 3001), ("c.so", b"x" * 3001), ("c.so.0", b"x" * 3001)):
        (lib / name).write_bytes(content)
    (bundle / "_internal" / "c.so").write_bytes(b"x" * 3001)  # of another folder: loaded from there
    build = load("build.py")
    before = build.sizes(bundle).total()
    build.link_copies(bundle)
    assert {path.name for path in lib.iterdir() if path.is_symlink()} == {"a.so", "c.so", "c.so.0"}
    assert (lib / "c.so.0").read_bytes() == b"x" * 3001
    assert not (bundle / "_internal" / "c.so").is_symlink()
    assert before - build.sizes(bundle).total() == 2 * 3001


@pytest.mark.skipif(shutil.which("gcc") is None or shutil.which("readelf") is None, reason="gcc")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's packages")
def test_what_the_bundle_asks_of_the_system(package: ModuleType, bundle: Path) -> None:
    lib = bundle / "_internal" / "lib"

    def link(name: str, *needed: str) -> None:
        command = ["gcc", "-shared", "-nostdlib", "-Wl,--no-as-needed", f"-Wl,-soname,{name}"]
        source = ["-x", "c", "/dev/null", "-x", "none"]
        files = [str(lib / each) for each in needed]
        subprocess.run([*command, *source, *files, "-o", lib / name], check=True)

    needed = ("libEGL.so.1", "libxcb.so.1", "libinside.so.2")
    for name in needed:
        link(name)
    link("libours.so.1", *needed)
    for name in ("libEGL.so.1", "libxcb.so.1"):
        (lib / name).unlink()
    libc, *others = package.depends(bundle)
    assert re.fullmatch(r"libc6 \(>= 2\.\d+\)", libc)
    assert others == ["libegl1", "libxcb1", *package._DATA]
    (lib / "libinside.so.2").unlink()
    with pytest.raises(SystemExit, match=r"nor on every desktop: libinside\.so\.2"):
        package.depends(bundle)


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


_MACS_TOOLS = {
    "file": """case "$2" in *notes*) echo ASCII text;; *) echo Mach-O universal binary;; esac""",
    "plutil": """case "$2" in status) echo "$APPLE_SAYS";; id) echo 7;; *) echo 0.1.0;; esac""",
    "xcrun": """echo "xcrun $*" >> calls; case "$2" in log) echo the log >&2;; esac""",
    **{name: f'echo "{name} $*" >> calls' for name in ("codesign", "ditto", "hdiutil", "spctl")},
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="a shell script")
@pytest.mark.parametrize("says", ["Accepted", "Invalid"])
def test_the_macs_release(tmp_path: Path, says: str) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, script in _MACS_TOOLS.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    script = tmp_path / "packaging" / "macos" / "release.sh"
    script.parent.mkdir(parents=True)
    shutil.copy(PACKAGING / "macos" / "release.sh", script)
    contents = tmp_path / "dist" / "Plum Desktop.app" / "Contents"
    for name in ("MacOS/plum-desktop", "Frameworks/torch/a.dylib", "Frameworks/torch/notes.so",
                 "Frameworks/Python.framework/Versions/3.12/Python"):  # fmt: skip
        (contents / name).parent.mkdir(parents=True, exist_ok=True)
        (contents / name).touch(0o755)
    names = {"PATH": f"{tools}:/usr/bin:/bin", "APPLE_SAYS": says}
    release = ["bash", str(script)]
    names |= {"PLUM_IDENTITY": "Developer ID Application: Ada", "PLUM_PROFILE": "plum"}
    done = subprocess.run(release, env=names, capture_output=True, text=True, check=False)
    calls = (tmp_path / "calls").read_text().splitlines()
    signed = [call.rsplit("Plum Desktop.app", 1)[1] for call in calls if "codesign --force" in call
              and ".app" in call]  # fmt: skip
    assert sorted(signed[:2]) == [
        "/Contents/Frameworks/Python.framework/Versions/3.12/Python",
        "/Contents/Frameworks/torch/a.dylib",
    ]
    assert signed[2:] == [
        "/Contents/Frameworks/Python.framework",
        "/Contents/MacOS/plum-desktop",
        "",
    ]
    assert all("--options runtime --timestamp" in call for call in calls if "Contents/" in call)
    if says == "Accepted":
        assert done.returncode == 0, done.stderr
        assert "stapler staple" in calls[-2]
    else:
        assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "the log")
        assert not any("stapler" in call for call in calls)

    (tmp_path / "calls").unlink()
    names["PLUM_IDENTITY"] = "-"  # to try it: a hardened program would refuse these libraries
    subprocess.run(release, env=names, capture_output=True, check=True)
    assert not re.search("runtime|notarytool", (tmp_path / "calls").read_text())


def test_the_installer_of_windows_takes_what_is_built() -> None:
    text = (PACKAGING / "windows" / "plum-desktop.iss").read_text()
    spec = (PACKAGING / "plum-desktop.spec").read_text()
    assert 'program("Plum Desktop"' in spec
    assert r"{app}\Plum Desktop.exe" in text
    for heading in ("Setup", "Files", "Icons", "Code"):
        assert f"\n[{heading}]\n" in text


def test_what_a_bundles_children_inherit(monkeypatch: pytest.MonkeyPatch) -> None:
    # On a system with none of Qt's libraries a child found none in the bundle either.
    monkeypatch.setattr(os, "environ", {
        "LD_LIBRARY_PATH": "/app/_internal", "LD_LIBRARY_PATH_ORIG": "/mine",
        "DYLD_LIBRARY_PATH": "/app/_internal", "HOME": "/home/ada",
    })  # fmt: skip
    load("hooks/environment.py")
    assert os.environ == {
        "LD_LIBRARY_PATH": "/mine", "HOME": "/home/ada", "PYINSTALLER_RESET_ENVIRONMENT": "1",
    }  # fmt: skip


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
