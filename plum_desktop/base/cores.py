"""How many threads are worth having."""

from __future__ import annotations

import psutil


def usable_cores() -> int:
    """Physical cores that this process may run on: a second thread a core slows arithmetic down,
    and a container or `taskset` may allow fewer than there are.
    """
    physical = psutil.cpu_count(logical=False) or 1
    try:
        return min(physical, len(psutil.Process().cpu_affinity()))
    except AttributeError:  # macOS binds no process to a core
        return physical
