"""Whether llama.cpp's libraries in a bundle run on any computer that we say they do.

    check_native.py FOLDER

Built with GGML_NATIVE on, they hold whatever the building machine can do, AVX-512 perhaps, and end
with an illegal instruction elsewhere.  Status 1 where one does; x86-64 is what is checked.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

# AVX-512 is what has 512-bit registers (zmm) or masks (k1..k7).
_TOO_NEW = re.compile(r"%zmm\d|%k[1-7]\b|\bzmm\d")


def count(library: Path) -> int:
    """How many instructions of AVX-512 the library holds."""
    tool = shutil.which("objdump") or shutil.which("llvm-objdump")
    if tool is None:
        sys.exit("objdump is missing; install binutils.")
    with subprocess.Popen(
        [tool, "-d", "--no-show-raw-insn", str(library)], stdout=subprocess.PIPE, text=True
    ) as reading:
        assert reading.stdout is not None
        found = sum(1 for line in reading.stdout if _TOO_NEW.search(line))
    if reading.returncode:
        sys.exit(f"objdump cannot read {library}.")
    return found


def libraries(folder: Path) -> list[Path]:
    """llama.cpp's libraries below `folder`, each once."""
    names = re.compile(r"(lib)?(ggml|llama).*\.(so(\.\d+)*|dylib|dll)$")
    return sorted({path.resolve() for path in folder.rglob("*") if names.fullmatch(path.name)})


def main(folder: Path) -> None:
    found = libraries(folder)
    if not any("ggml-cpu" in path.name for path in found):
        sys.exit(f"There is no ggml-cpu library in {folder}.")
    bad = {path: number for path in found if (number := count(path))}
    for path, number in bad.items():
        print(f"{path.name}: {number} instructions of AVX-512", file=sys.stderr)
    if bad:
        sys.exit("Build llama-cpp-python with CMAKE_ARGS=-DGGML_NATIVE=OFF.")
    print(f"No AVX-512 in {', '.join(path.name for path in found)}.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
