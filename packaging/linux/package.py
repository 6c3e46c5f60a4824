"""From the bundle what a Linux installs from: a tarball and a .deb.  `package.py BUNDLE`.

Both are written in plain Python, with the same bytes for the same bundle, on any system.
"""

from __future__ import annotations

import io
import os
import platform
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from xml.sax.saxutils import escape

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
APP_ID = "io.github.plum_desktop.PlumDesktop"
DESKTOP = HERE / f"{APP_ID}.desktop"
METAINFO = HERE / f"{APP_ID}.metainfo.xml"
_PRESET = 2  # of xz: beyond it minutes are spent on few megabytes
_CHUNK = 1 << 20
# The libraries that PyInstaller leaves to the system, and Debian's packages of them.
_SYSTEM = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
    "libwayland-egl.so.1": "libwayland-egl1",
    "libxcb.so.1": "libxcb1",
}
_LIBC = re.compile(r"ld-linux.*|lib(c|dl|m|pthread|resolv|rt)\.so\.\d")
_DATA = ("fontconfig-config", "xkb-data")  # what libraries in the bundle read
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_RELEASE = re.compile(r"^## (\d+\.\d+\.\d+)(?: \((\d{4}-\d{2}-\d{2})\))?$", re.MULTILINE)

sys.path[:0] = [str(ROOT), str(HERE.parent)]

from icons import SIZES, make_icons  # noqa: E402

from plum_desktop import __version__  # noqa: E402


def releases() -> list[tuple[str, str, list[str]]]:
    """(version, date or "", what changed) of every release in CHANGELOG.md, newest first."""
    parts = _RELEASE.split((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))[1:]
    found = []
    for number, date, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        points = [" ".join(point.split()) for point in re.split(r"^- ", text, flags=re.M)[1:]]
        found.append((number, date or "", points))
    return found


def metainfo(built: str) -> str:
    """The AppStream file with the releases in it; `built` is the day of one without a date."""
    lines = []
    for number, date, points in releases():
        items = "".join(f"<li>{escape(point.replace('`', ''))}</li>" for point in points)
        lines.append(
            f'<release version="{number}" date="{date or built}">'
            f"<description><ul>{items}</ul></description></release>"
        )
    text = METAINFO.read_text(encoding="utf-8")
    return re.sub(r"<!--.*?-->", lambda _: "\n    ".join(lines), text)


def shared(built: str) -> dict[str, bytes]:
    """What goes below `share`, by path."""
    pictures = make_icons(ROOT / "build" / "icons")["png"].parent
    svg = ROOT / "plum_desktop" / "resources" / "icons" / "plum.svg"
    hicolor = "icons/hicolor"
    return {
        f"applications/{DESKTOP.name}": DESKTOP.read_bytes(),
        f"metainfo/{METAINFO.name}": metainfo(built).encode(),
        f"{hicolor}/scalable/apps/{APP_ID}.svg": svg.read_bytes(),
        **{
            f"{hicolor}/{size}x{size}/apps/{APP_ID}.png":
                (pictures / f"plum-{size}.png").read_bytes()
            for size in SIZES
        },
    }  # fmt: skip


class Archive:
    """A tar of root's files, all of one time, with every folder before what is in it."""

    def __init__(self, stream: IO[bytes], when: int) -> None:
        self._tar = tarfile.open(  # noqa: SIM115  `close` closes it
            fileobj=stream, mode="w:xz", preset=_PRESET,
            format=tarfile.GNU_FORMAT,  # dpkg refuses Python's own, where a path is long
        )  # fmt: skip
        self._when = when
        self._folders: set[str] = set()

    def add(self, name: str, content: bytes | Path | str, mode: int = 0o644) -> None:
        """A file of these bytes, or like that at the path; a text: a link to it."""
        for parent in reversed(Path(name).parents):
            if str(parent) != "." and str(parent) not in self._folders:
                self._folders.add(str(parent))
                self._write(str(parent), 0o755, type=tarfile.DIRTYPE)
        if isinstance(content, str):
            self._write(name, 0o777, type=tarfile.SYMTYPE, linkname=content)
        elif isinstance(content, bytes):
            self._write(name, mode, io.BytesIO(content), size=len(content))
        else:
            executable = 0o755 if os.access(content, os.X_OK) else 0o644
            with content.open("rb") as stream:
                self._write(name, executable, stream, size=content.stat().st_size)

    def add_folder(self, name: str, folder: Path) -> int:
        """All of a folder; the bytes of its files."""
        total = 0
        for path in _walk(folder):
            inside = f"{name}/{path.relative_to(folder).as_posix()}"
            self.add(inside, os.readlink(path) if path.is_symlink() else path)
            total += 0 if path.is_symlink() else path.stat().st_size
        return total

    def _write(
        self, name: str, mode: int, stream: IO[bytes] | None = None, **fields: object
    ) -> None:
        entry = tarfile.TarInfo(f"./{name}")
        entry.mode, entry.mtime = mode, self._when
        entry.uname = entry.gname = "root"
        for field, value in fields.items():
            setattr(entry, field, value)
        self._tar.addfile(entry, stream)

    def close(self) -> None:
        self._tar.close()


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        else:
            yield path


def write_tarball(bundle: Path, out: Path, when: int, share: dict[str, bytes]) -> None:
    """The bundle and its `share`, in a folder of the tarball's name."""
    name = out.name.removesuffix(".tar.xz")
    with out.open("wb") as stream:
        archive = Archive(stream, when)
        archive.add_folder(name, bundle)
        for path, content in share.items():
            archive.add(f"{name}/share/{path}", content)
        archive.add(f"{name}/README.md", ROOT / "README.md")
        archive.close()


def write_deb(bundle: Path, out: Path, when: int, share: dict[str, bytes]) -> None:
    """The bundle in /usr/lib, its command in /usr/bin, and what menus read in /usr/share."""
    data = out.with_suffix(".data")
    with data.open("wb") as stream:
        archive = Archive(stream, when)
        size = archive.add_folder("usr/lib/plum-desktop", bundle)
        archive.add("usr/bin/plum-desktop", "../lib/plum-desktop/plum-desktop")
        for path, content in share.items():
            archive.add(f"usr/share/{path}", content)
        third = (bundle / "_internal" / "THIRD_PARTY.txt").read_bytes()
        licence = (ROOT / "LICENSE").read_bytes()
        archive.add("usr/share/doc/plum-desktop/copyright", licence + b"\n\n" + third)
        archive.close()
    control = io.BytesIO()
    archive = Archive(control, when)
    archive.add("control", control_text(size, depends(bundle)).encode())
    archive.close()
    with out.open("wb") as deb:
        deb.write(b"!<arch>\n")
        _member(deb, "debian-binary", io.BytesIO(b"2.0\n"), 4, when)
        _member(deb, "control.tar.xz", io.BytesIO(control.getvalue()), control.tell(), when)
        with data.open("rb") as stream:
            _member(deb, "data.tar.xz", stream, data.stat().st_size, when)
    data.unlink()


def depends(bundle: Path) -> list[str]:
    """Debian's packages that the bundle needs.  Its glibc is this machine's or a newer one.

    Ends the program where a library is neither in it nor known to be every desktop's: then the
    building machine lacks it, and PyInstaller could not take it.
    """
    libraries = [path for path in bundle.rglob("*.so*") if not path.is_symlink()]
    said = subprocess.run(
        ["readelf", "--dynamic", *libraries], capture_output=True, text=True, check=False
    ).stdout
    there = {path.name for path in bundle.rglob("*.so*")}
    outside = set(re.findall(r"\(NEEDED\).*\[(.+)\]", said)) - there
    if missing := {name for name in outside if name not in _SYSTEM and not _LIBC.fullmatch(name)}:
        sys.exit(f"Not in the bundle, nor on every desktop: {', '.join(sorted(missing))}.")
    glibc = platform.libc_ver()[1] or "2.31"
    return [
        f"libc6 (>= {glibc})",
        *sorted(_SYSTEM[name] for name in outside & set(_SYSTEM)),
        *_DATA,
    ]


def control_text(size: int, needed: list[str]) -> str:
    """The package's own words; `size` in bytes."""
    return (
        f"Package: plum-desktop\nVersion: {__version__}\nSection: utils\nPriority: optional\n"
        f"Architecture: {_ARCHITECTURES[platform.machine()]}\nInstalled-Size: {size // 1024}\n"
        f"Depends: {', '.join(needed)}\n"
        "Maintainer: The Plum Desktop contributors <plum@localhost>\n"
        "Description: private assistant that learns from its own chats\n"
        " Chats with a model on this computer, and trains a small adapter of your own\n"
        " on your chats, so that the model itself remembers them. Nothing leaves the\n"
        " computer.\n"
    )


def _member(deb: IO[bytes], name: str, stream: IO[bytes], size: int, when: int) -> None:
    """One file of an `ar` archive: a head of 60 bytes, the bytes, and a filler to an even place."""
    deb.write(f"{name:<16}{when:<12}{0:<6}{0:<6}{'100644':<8}{size:<10}`\n".encode("ascii"))
    while chunk := stream.read(_CHUNK):
        deb.write(chunk)
    deb.write(b"\n" * (size % 2))


def main(bundle: Path) -> None:
    # The commit's time, so that the same sources give the same packages.
    said = subprocess.run(
        ["git", "log", "-1", "--format=%ct %cs"], cwd=ROOT, capture_output=True, text=True,
        check=True,
    ).stdout.split()  # fmt: skip
    when, built = int(said[0]), said[1]
    share = shared(built)
    machine = platform.machine()
    tarball = bundle.parent / f"plum-desktop-{__version__}-linux-{machine}.tar.xz"
    deb = bundle.parent / f"plum-desktop_{__version__}_{_ARCHITECTURES[machine]}.deb"
    write_tarball(bundle, tarball, when, share)
    write_deb(bundle, deb, when, share)
    for path in (tarball, deb):
        print(f"{path.stat().st_size / 1e6:8.1f} MB  {path.name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
