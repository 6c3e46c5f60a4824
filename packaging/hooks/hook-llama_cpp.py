"""llama.cpp's libraries lie in the package, and are opened by path."""

from pathlib import Path

from PyInstaller.utils.hooks import get_package_paths

_LIB = Path(get_package_paths("llama_cpp")[1]) / "lib"
# A wheel holds no links: each library is in it three times, as .so, .so.0 and .so.0.25.3.
binaries = [
    (str(path), "llama_cpp/lib")
    for path in sorted(_LIB.iterdir())
    if path.suffix in (".so", ".dylib", ".dll") or path.name.endswith(".so.0")
]
