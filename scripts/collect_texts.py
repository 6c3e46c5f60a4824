"""Collect every text of the window for a translator, as plum_LANGUAGE.ts; what is translated stays.

    .venv/bin/python scripts/collect_texts.py LANGUAGE [FOLDER]

Translate the file with Qt Linguist; `pyside6-lrelease plum_LANGUAGE.ts` makes plum_LANGUAGE.qm of
it, which the window loads from plum_desktop/resources/translations.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import PySide6

from plum_desktop.base.errors import PlumError
from plum_desktop.base.settings import Settings
from plum_desktop.models.catalog import catalog

# What makes a sentence of the layers below, whose first argument is its template.
_SENTENCES = {
    "Sentence", "PlumError",
    *(kind.__name__ for kind in PlumError.__subclasses__()),
}  # fmt: skip

PACKAGE = Path(__file__).parents[1] / "plum_desktop"
TOOL = Path(PySide6.__file__).parent / f"lupdate{'.exe' if sys.platform == 'win32' else ''}"


def texts_of_data() -> dict[str, list[str]]:
    """By context, what the window shows of data that is declared where there is no Qt."""
    said = [
        field.metadata[at]
        for field in dataclasses.fields(Settings)
        for at in ("title", "help", "group")
    ]
    return {
        "app": list(dict.fromkeys(sentences())),
        "Settings": list(dict.fromkeys(said)),
        "Catalog": list(dict.fromkeys(model.good_for for model in catalog())),
    }


def sentences() -> Iterator[str]:
    """The templates of every sentence that is made outside the window."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(text)), *_]) if (
                    name in _SENTENCES
                ):
                    yield text


def collect(language: str, folder: Path) -> Path:
    """Write or renew plum_LANGUAGE.ts in `folder`."""
    made = folder / f"plum_{language}.ts"
    with tempfile.TemporaryDirectory() as work:
        marked = Path(work) / "data.py"
        marked.write_text(
            "\n".join(
                f'QT_TRANSLATE_NOOP("{context}", {json.dumps(text, ensure_ascii=False)})'
                for context, texts in texts_of_data().items()
                for text in texts
            ),
            encoding="utf-8",
        )
        subprocess.run(
            [TOOL, "-silent", "-locations", "none", "-target-language", language,
             "-extensions", "py", "-recursive", PACKAGE / "ui", marked, "-ts", made],
            check=True,
        )  # fmt: skip
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("language", help="de, pt_BR, …")
    resources = PACKAGE / "resources" / "translations"
    parser.add_argument("folder", nargs="?", type=Path, default=resources)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print(collect(arguments.language, arguments.folder))


if __name__ == "__main__":
    main()
