"""How long forgetting one chat takes, and how much of a damaged database is saved.

.venv/bin/python scripts/measure_forgetting.py [MESSAGES]
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

from plum_desktop.app.product import Plum
from plum_desktop.base.paths import open_data_folder
from plum_desktop.store.copies import listed
from plum_desktop.store.recovery import recover

WORDS = [f"{a}{b}" for a in ("lin", "mar", "tor", "vel", "sun") for b in ("den", "ket", "ow", "ia")]
A_CHAT = 20
PAGE = 4096


def fill(plum: Plum, messages: int) -> str:
    rng = random.Random(1)
    with plum.store.transaction():
        for number in range(messages // A_CHAT):
            chat = plum.store.chats.create(f"Chat {number}")
            for turn in range(A_CHAT):
                role = "assistant" if turn % 2 else "user"
                plum.store.chats.add_message(chat.id, role, " ".join(rng.choices(WORDS, k=150)))
    return chat.id


def forgetting(messages: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plum = Plum(open_data_folder(Path(folder)))
        chat_id = fill(plum, messages)
        for copies in range(1, 12):
            plum.store.backups.create("daily")
            if copies in (1, 11):
                size = plum.folder.database.stat().st_size / 1e6
                started = time.monotonic()
                complete = plum.forgetting.forget([chat_id])
                took = time.monotonic() - started
                print(f"{messages} messages, {size:.0f} MB, {copies} backups: {took:.1f} s, "
                      f"{'complete' if complete else 'not complete'}")  # fmt: skip
                chat_id = plum.store.chats.list()[0].id
        plum.close()


def recovery(messages: int, share: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = open_data_folder(Path(name))
        plum = Plum(folder)
        fill(plum, messages)
        before = plum.store.count_messages()
        plum.store.close()
        content = bytearray(folder.database.read_bytes())
        pages = len(content) // PAGE
        hit = random.Random(2).sample(range(1, pages), max(1, int(share * pages)))
        for page in hit:
            content[page * PAGE : (page + 1) * PAGE] = random.Random(page).randbytes(PAGE)
        folder.database.write_bytes(content)
        started = time.monotonic()
        told = recover(folder.database, folder.backups)
        took = time.monotonic() - started
        assert len(listed(folder.backups)) == 1
        print(f"{len(hit)} of {pages} pages overwritten, no backup: {told.read} of {before} "
              f"messages saved ({told.read / before:.1%}), {took:.1f} s")  # fmt: skip


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    forgetting(count)
    for share in (0.0001, 0.001, 0.01):
        recovery(count, share)
