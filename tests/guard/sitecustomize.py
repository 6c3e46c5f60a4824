"""What the interpreter runs first where this folder is on PYTHONPATH: the test's eye and hand.

Every Python process, children included, writes down its command line and refuses itself the
internet: an audit hook counts and blocks what Python asks for, and on Linux a seccomp filter,
which outlives exec, ends a process whose native code asks for an internet socket (SIGSYS).
$PLUM_TEST_RECORD is the file that gets a JSON object a line.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import struct
import sys
import traceback

_AF_INET, _AF_INET6 = 2, 30 if sys.platform == "darwin" else 10
_NAMES = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_RECORD = os.environ.get("PLUM_TEST_RECORD", "")
_SYSCALLS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # arch, socket()


def _write(**found: object) -> None:
    line = json.dumps({"pid": os.getpid(), **found}) + "\n"
    descriptor = os.open(_RECORD, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def _hook(event: str, args: tuple[object, ...]) -> None:
    if (event == "socket.__new__" and args[1] in (_AF_INET, _AF_INET6)) or event in _NAMES:
        name = str(args[0]) if event in _NAMES else ""
        _write(socket=event, name=name, where=traceback.format_stack(limit=8))
        raise PermissionError("a test forbids the internet")
    if event == "import" and args[0] == "huggingface_hub":
        switches = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")
        _write(hub={name: os.environ.get(name) for name in switches})


def _forbid_natively() -> bool:
    """End this process and its children at socket(AF_INET or AF_INET6); False: not here."""
    if sys.platform != "linux" or platform.machine() not in _SYSCALLS:
        return False
    arch, number = _SYSCALLS[platform.machine()]
    load, equal, give = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
    allow, kill = 0x7FFF0000, 0x80000000
    program = (
        (load, 0, 0, 4), (equal, 0, 5, arch),  # the architecture
        (load, 0, 0, 0), (equal, 0, 3, number),  # the call
        (load, 0, 0, 16), (equal, 2, 0, _AF_INET), (equal, 1, 0, _AF_INET6),  # its first argument
        (give, 0, 0, allow), (give, 0, 0, kill),
    )  # fmt: skip
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(code)
    head = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_seccomp, filtered = 38, 22, 2
    return (
        libc.prctl(no_new_privileges, 1, 0, 0, 0) == 0
        and libc.prctl(set_seccomp, filtered, ctypes.c_char_p(head), 0, 0) == 0
    )


if _RECORD:
    sys.addaudithook(_hook)
    _write(argv=sys.orig_argv, native=_forbid_natively())
