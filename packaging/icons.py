"""The program's picture in the forms that each system asks for, drawn from the one SVG."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "plum_desktop" / "resources" / "icons" / "plum.svg"
SIZES = (16, 32, 48, 64, 128, 256, 512)  # pixels
_LARGEST = {"ico": 256, "icns": 512}


def make_icons(folder: Path) -> dict[str, Path]:
    """Write `plum.ico`, `plum.icns` and a PNG of each size into `folder`; paths by ending."""
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    folder.mkdir(parents=True, exist_ok=True)
    drawing = QSvgRenderer(str(PICTURE))
    made = {}
    for size in SIZES:
        image = QImage(size, size, QImage.Format.Format_ARGB32)
        image.fill(Qt.GlobalColor.transparent)
        painter = QPainter(image)
        drawing.render(painter)
        painter.end()
        wanted = {"png": f"plum-{size}.png"}
        wanted |= {kind: f"plum.{kind}" for kind, most in _LARGEST.items() if size == most}
        for kind, name in wanted.items():
            made[kind] = folder / name
            if not image.save(str(made[kind])):
                raise SystemExit(f"Qt cannot write {made[kind]}.")
    return made


if __name__ == "__main__":
    make_icons(Path(sys.argv[1]))
