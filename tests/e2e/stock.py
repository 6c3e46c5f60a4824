"""The exported model in llama-cpp-python alone, with nothing of ours in between."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_ASK = """
import json, sys
from llama_cpp import Llama
model = Llama(sys.argv[1], n_ctx=1024, verbose=False)
for question in json.load(sys.stdin):
    reply = model.create_chat_completion(
        [{"role": "user", "content": question}], temperature=0.0, max_tokens=int(sys.argv[2]))
    print(json.dumps(reply["choices"][0]["message"]["content"]))
"""


def answers(model: Path, questions: Sequence[str], max_tokens: int) -> list[str]:
    """What the file answers to each question, greedily, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _ASK, str(model), str(max_tokens)],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]
