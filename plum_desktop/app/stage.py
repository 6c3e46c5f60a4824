"""The process in which a stage of learning works: it may be killed, and frees all that it took."""

from __future__ import annotations

from collections.abc import Mapping

from plum_desktop.base.child import Child
from plum_desktop.base.paths import DataFolder, worker_command


def stage_worker(
    folder: DataFolder,
    name: str,
    *,
    low_priority: bool = True,
    env: Mapping[str, str] | None = None,
) -> Child:
    """Start one that logs where the app does; whoever asked for it stops it."""
    return Child(
        worker_command("stage"),
        name=name,
        env={**(env or {}), "PLUM_LOG_DIR": str(folder.logs)},
        low_priority=low_priority,
    )
