"""How many threads are worth having."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from plum_desktop.base.cores import usable_cores


def test_no_more_than_there_are() -> None:
    assert 1 <= usable_cores() <= (psutil.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no process is bound here")
def test_no_more_than_a_process_is_bound_to() -> None:
    asked = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from plum_desktop.base.cores import usable_cores; print(usable_cores())"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
