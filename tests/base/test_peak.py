"""A process's peak memory is its own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from plum_desktop.base.peak import peak_bytes

_CHILD = """
from plum_desktop.base.peak import peak_bytes
begun = peak_bytes()
bytearray(b"a" * 60_000_000)
print(begun, peak_bytes())
"""


def test_what_was_given_back_counts_and_the_parents_does_not() -> None:
    np.ones(50_000_000)  # 400 MB
    assert peak_bytes() > 400_000_000
    done = subprocess.run([sys.executable, "-c", _CHILD], capture_output=True, check=True)
    begun, peak = map(int, done.stdout.split())
    assert begun < 100_000_000
    assert 60_000_000 < peak - begun < 140_000_000
