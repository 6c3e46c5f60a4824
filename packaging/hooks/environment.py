"""Before anything else in the bundle: what the system's own programs may not inherit.

PyInstaller points the loader at the bundle's libraries.  This process has read that by now; a
browser that it opens would load our libraries instead of its own.  A child of ours has to have it
set anew, which PyInstaller does only where it is told that the child is no part of this process.
"""

import os

for _name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBPATH"):
    _before = os.environ.pop(f"{_name}_ORIG", None)
    if _before is not None:
        os.environ[_name] = _before
    else:
        os.environ.pop(_name, None)
os.environ["PYINSTALLER_RESET_ENVIRONMENT"] = "1"
