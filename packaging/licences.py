"""Every licence in the bundle, as one text: `licences.py [FILE]`; without a file, a table.

What is bundled is what `plum-desktop[learn,passphrase]` requires here, all the way down, and what
is no Python package.  A licence that is not known to allow this ends the program with status 1.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
NOT_BUNDLED = {"hf-xet", "networkx", "pip", "setuptools"}  # see EXCLUDED in the spec
_FILES = re.compile(r"(licen[cs]e|copying|notice)[^/]*$", re.IGNORECASE)
# Parts of SPDX expressions and of older words for the same.  LGPL: Qt, whose libraries lie in the
# bundle as files that a user may exchange.
_ALLOWED = re.compile(
    r"Apache|BSD|MIT\b|MPL|ISC|PSF|Python Software Foundation|Unlicense|Zlib|CC0|HPND|LGPL"
    r"|Public Domain"
)
_WITHOUT_METADATA = {"sympy": "BSD-3-Clause", "llama-cpp-python": "MIT", "sqlcipher3": "Zlib"}
_OTHERS = (
    ("Python", "PSF-2.0", "https://docs.python.org/3/license.html"),
    ("Qt", "LGPL-3.0-only", "https://www.qt.io/licensing; sources: https://download.qt.io"),
    ("SQLCipher", "BSD-3-Clause", "https://github.com/sqlcipher/sqlcipher/blob/master/LICENSE.md"),
    ("OpenSSL", "Apache-2.0", "https://openssl-library.org/source/license/"),
    ("llama.cpp and ggml", "MIT", "https://github.com/ggml-org/llama.cpp/blob/master/LICENSE"),
    ("SmolLM2-135M-Instruct, the model", "Apache-2.0",
     "https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct"),
)  # fmt: skip


def bundled() -> list[Distribution]:
    """Every installed distribution that the program and its learning need here, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    waiting = [
        Requirement(text)
        for text in (*project["dependencies"], *extras["learn"], *extras["passphrase"])
    ]
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in NOT_BUNDLED or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        package = found.setdefault(name, distribution(name))
        for extra in {"", *wanted.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for text in package.requires or ():
                needed = Requirement(text)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    needed.marker = None
                    waiting.append(needed)
    return [found[name] for name in sorted(found)]


def licence(package: Distribution) -> str:
    """What the package says its licence is; empty where it says nothing."""
    about = package.metadata
    classifiers = [
        line.rsplit(" :: ", 1)[-1]
        for line in about.get_all("Classifier") or ()
        if line.startswith("License :: ") and not line.endswith("OSI Approved")
    ]
    said = about.get("License-Expression") or about.get("License") or ""
    if not said or len(said) > 60 or "\n" in said:  # some put the whole text there
        said = ", ".join(classifiers) or said.strip().split("\n")[0][:60]
    return said or _WITHOUT_METADATA.get(canonicalize_name(about["Name"]), "")


def texts(package: Distribution) -> Iterator[str]:
    """The licence files that the package came with."""
    for file in package.files or ():
        if ".dist-info/" in str(file) and _FILES.search(str(file)):
            yield Path(str(file.locate())).read_text(encoding="utf-8", errors="replace").strip()


def main(arguments: list[str]) -> None:
    packages = bundled()
    rows = [(each.metadata["Name"], each.version, licence(each)) for each in packages]
    if bad := [row for row in rows if not _ALLOWED.search(row[2])]:
        sys.exit(f"No known licence: {', '.join(f'{name} ({said})' for name, _, said in bad)}.")
    if not arguments:
        for row in rows:
            print("  ".join((row[0].ljust(28), row[1].ljust(14), row[2])))
        return
    head = "Plum Desktop is licensed under Apache-2.0 (LICENSE).  It holds:\n\n"
    parts = [head + "\n".join(f"{name} ({said}): {where}" for name, said, where in _OTHERS)]
    for package, (name, version, said) in zip(packages, rows, strict=True):
        parts.append("\n\n".join((f"{name} {version}: {said}", *texts(package))))
    rule = f"\n\n{'=' * 78}\n\n"
    Path(arguments[0]).write_text(rule.join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
