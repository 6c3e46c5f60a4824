#!/usr/bin/env python3
"""Build the bundle: `python packaging/build.py`, in a checkout whose `.venv` is set up.

`build/env` gets PyInstaller and a llama.cpp for any computer, unless `.venv` has such a one, and
borrows all else from `.venv`.  Then: licences, bundle, check of the native libraries, sizes, and
what this system installs from (`dist/`: a tarball and a .deb on Linux; on macOS and Windows see
packaging/README.md), which `--folder` leaves out.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ENV = ROOT / "build" / "env"
PYTHON = ENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = ENV / "built-for"
ENGINE_NOTE = Path(sys.prefix) / "setup-engine"  # how scripts/setup.py compiled llama.cpp
BUNDLE = ROOT / "dist" / "plum-desktop"
PYINSTALLER = "pyinstaller==6.22.3"
# Not what this machine can do, but AVX2 and FMA on x86-64: any computer since 2013 or so.
ANY_COMPUTER = "-DGGML_NATIVE=OFF"
LEFT_OUT = ROOT / "scripts" / "llama.cmake"  # of llama.cpp, as scripts/setup.py has it too
PORTABLE = f"{ANY_COMPUTER} {shlex.quote(f'-DCMAKE_PROJECT_INCLUDE={LEFT_OUT.as_posix()}')}"
# PyTorch has no wheels for Intel Macs.
LEARNS = not (sys.platform == "darwin" and platform.machine() == "x86_64")
_MOST = 1_300_000_000  # bytes on the disk; more means that something came along unasked


def run(*command: str | Path, **environment: str) -> None:
    print("$", *command, flush=True)
    subprocess.run(
        [str(part) for part in command], cwd=ROOT, env={**os.environ, **environment}, check=True
    )


def pinned(name: str) -> str:
    """`name==version` from constraints.txt."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(name)}==\S+$", text, re.MULTILINE)
    assert found is not None
    return found[0]


def make_environment() -> None:
    note = ENGINE_NOTE.read_text(encoding="utf-8") if ENGINE_NOTE.exists() else ""
    engine = "borrowed" if ANY_COMPUTER in note.split() else pinned("llama_cpp_python")
    wanted = [PYINSTALLER, engine, PORTABLE, sys.version]
    if STAMP.exists() and STAMP.read_text(encoding="utf-8") == "\n".join(wanted):
        return
    shutil.rmtree(ENV, ignore_errors=True)
    run(sys.executable, "-m", "venv", ENV)
    pip = (PYTHON, "-m", "pip", "install")
    run(*pip, PYINSTALLER)
    if engine != "borrowed":
        # No wheel, not even one of pip's own: they may be built for the machine that built them.
        run(*pip, "--no-deps", "--no-cache-dir", "--no-binary=llama-cpp-python", engine,
            CMAKE_ARGS=PORTABLE)  # fmt: skip
    site = subprocess.run(
        [PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    # Last in the path, so that this environment's own llama.cpp comes before the other's.
    Path(site, "zz_venv.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    STAMP.write_text("\n".join(wanted), encoding="utf-8")


def require_cpu_torch() -> None:
    check = "import sys, torch; sys.exit(torch.version.cuda is not None)"
    if LEARNS and subprocess.run([PYTHON, "-c", check], check=False).returncode:
        sys.exit(
            "The PyTorch in .venv is built for CUDA, which would make the bundle gigabytes larger; "
            "set PIP_EXTRA_INDEX_URL to PyTorch's index of CPU wheels and set up .venv anew."
        )


def strip(bundle: Path) -> None:
    """PyTorch's and Python's libraries without the names of inner functions, a fifth of the former.

    Others stay as they are: a wheel's tools have moved parts of them, which stripping may break.
    """
    tool = shutil.which("strip")
    if tool is None:
        sys.exit("strip is missing; install binutils.")
    inside = bundle / "_internal"
    for pattern in ("torch/lib/libtorch*.so", "libpython*.so*", "python*/lib-dynload/*.so"):
        for library in sorted(inside.glob(pattern)):
            subprocess.run([tool, "--strip-unneeded", library], check=True)


def link_copies(bundle: Path) -> None:
    """Links for the libraries that lie in a folder more than once: a wheel cannot hold links."""
    seen: dict[tuple[Path, int], list[Path]] = {}
    for library in sorted(bundle.rglob("*.so*")):
        if library.is_symlink():
            continue
        same = seen.setdefault((library.parent, library.stat().st_size), [])
        first = next((each for each in same if filecmp.cmp(each, library, shallow=False)), None)
        if first is None:
            same.append(library)
        else:
            library.unlink()
            library.symlink_to(first.name)


def sizes(bundle: Path) -> Counter[str]:
    """Bytes on the disk by the folder, or file, under the bundle's contents."""
    found: Counter[str] = Counter()
    for path in bundle.rglob("*"):
        if path.is_file() and not path.is_symlink():
            parts = [part for part in path.relative_to(bundle).parts if part != "_internal"]
            deeper = 3 if parts[0] == "plum_desktop" else 1
            found["/".join(parts[:deeper])] += path.stat().st_size
    return found


def main() -> None:
    if sys.prefix == sys.base_prefix:
        sys.exit("Run it with the Python of .venv: .venv/bin/python packaging/build.py")
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", action="store_true", help="the folder alone, no packages")
    only_folder = parser.parse_args().folder
    began = time.monotonic()
    make_environment()
    require_cpu_torch()
    run(sys.executable, HERE / "licences.py", ROOT / "build" / "THIRD_PARTY.txt")
    spec = HERE / "plum-desktop.spec"
    run(PYTHON, "-m", "PyInstaller", "--noconfirm", "--log-level=WARN", spec, PLUM_VENV=sys.prefix)
    if sys.platform.startswith("linux"):
        strip(BUNDLE)
        link_copies(BUNDLE)
    if sys.platform != "win32" and platform.machine() == "x86_64":
        run(sys.executable, HERE / "check_native.py", BUNDLE)
    found = sizes(BUNDLE)
    for name, count in found.most_common(25):
        print(f"{count / 1e6:8.1f} MB  {name}")
    print(f"{found.total() / 1e6:8.1f} MB  altogether, {time.monotonic() - began:.0f} s")
    if found.total() > _MOST:
        sys.exit(f"The bundle is larger than {_MOST / 1e6:.0f} MB.")
    if sys.platform.startswith("linux") and not only_folder:
        run(sys.executable, HERE / "linux" / "package.py", BUNDLE)


if __name__ == "__main__":
    main()
