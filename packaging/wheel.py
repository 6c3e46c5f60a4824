"""Build wheel and sdist into `dist/`, and use the wheel where nothing else of ours is."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
BUILD = "build==1.6.1"

sys.path.insert(0, str(ROOT))

from plum_desktop import __version__  # noqa: E402


def make_env(folder: Path, *, borrow: bool) -> Path:
    """An environment of its own and its Python; `borrow`: with all that `.venv` has installed."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if borrow:
        where = subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        # A path only: the .pth files there, of an editable install, are not read.
        Path(where, "zz_venv.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return python


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        builder = make_env(Path(scratch, "build"), borrow=False)
        subprocess.run([builder, "-m", "pip", "install", "--quiet", BUILD], check=True)
        # The wheel from the sdist, so that both are whole.
        subprocess.run([builder, "-m", "build", "--quiet", "--outdir", DIST, ROOT], check=True)
        wheel = DIST / f"plum_desktop-{__version__}-py3-none-any.whl"
        python = make_env(Path(scratch, "use"), borrow=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True)
        program = python.with_name("plum-desktop" + (".exe" if os.name == "nt" else ""))
        data = Path(scratch, "data")
        for arguments in (
            ["--version"], ["--help"], ["chats", "list"], ["models", "list"], ["doctor"],
            ["chat", "--once", "What is the capital of France?"],
        ):  # fmt: skip
            command = [program, "--data-dir", data, *arguments]
            # Not in the checkout, whose package would be found first.
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
            print(done.stdout, done.stderr, sep="", end="")
            if done.returncode or (arguments == ["--version"] and __version__ not in done.stdout):
                sys.exit(f"The wheel's `plum-desktop {' '.join(arguments)}` fails.")
    print(f"{wheel.name} works.")


if __name__ == "__main__":
    main()
