"""Sample plum_desktop/resources/stock/sampled.jsonl from the starter model.

    .venv/bin/python scripts/sample_stock.py [--count N] --work FILE

The model is given its template up to where the user's words begin, and writes both sides of a
chat.  What comes is no good to learn from, but it is endlessly various, and nobody ever said it.
About ten minutes on 2 cores.  Stopped, it goes on from `--work`.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from plum_desktop.base.files import write_text
from plum_desktop.engine.template import PromptTokenizer, open_vocab
from plum_desktop.models.local import find_starter

BATCH, TOKENS = 128, 140
TEMPERATURE, TOP_K = 0.9, 150
OUT = Path(__file__).parents[1] / "plum_desktop" / "resources" / "stock" / "sampled.jsonl"
_LONGEST_QUESTION, _FEWEST_WORDS = 60, 4
# Tasks about a text that is not there, markup, and what it says of itself.
_POOR = re.compile(r"[{}<>\\|*_#=]|https?:|@|\n\s*\n|SmolLM|Hugging|\bAI\b")
_FOREIGN = re.compile(r"[^\x00-\u024f\u2000-\u206f]")
_TURN = re.compile(r"<\|im_end\|>\n<\|im_start\|>assistant\n")
_END = re.compile(r"<\|im_(?:end|start)\|>.*", re.S)


def user_prompt(vocab: PromptTokenizer) -> list[int]:
    """The template's tokens before the user's words."""
    one, other = (
        vocab.render_ids([{"role": "user", "content": text}]) for text in ("zebra", "Queue")
    )
    same = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return one[:same]


def sample(model: Path, prompt: list[int], batches: range, work: Path) -> None:
    """Append `BATCH` lines of token ids to `work` for each number in `batches`, its seed."""
    import torch

    from plum_desktop.learning.trainers.torch_gguf import load_base

    base = load_base(model, torch.bfloat16).eval()
    ids = torch.tensor([prompt] * BATCH)
    for number in batches:
        torch.manual_seed(number)
        with torch.no_grad():
            found = base.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=TEMPERATURE,
                top_k=TOP_K, top_p=1.0, max_new_tokens=TOKENS, eos_token_id=None, pad_token_id=0,
            )  # fmt: skip
        with work.open("a") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in found[:, len(prompt) :].tolist())
        print(f"{number + 1} of {batches.stop}", flush=True)


def conversation(text: str) -> dict[str, object] | None:
    """The first exchange of what was sampled, its last broken sentence left out."""
    asked, told, *_ = [*_TURN.split(text, maxsplit=1), ""]
    told = _END.sub("", told)
    told = told[: max(told.rfind(mark) for mark in ".!?") + 1]
    asked = asked.strip()
    if not _FEWEST_WORDS <= len(asked.split()) <= _LONGEST_QUESTION or not told:
        return None
    if _POOR.search(asked) or _FOREIGN.search(asked + told) or "<|im" in asked:
        return None
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": told.strip()}]
    return {"messages": messages}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=1024)
    parser.add_argument("--work", type=Path, required=True, help="file for what was sampled")
    arguments = parser.parse_args()
    model = find_starter()
    assert model, "There is no starter model; run `make venv`."
    vocab = open_vocab(model)
    there = len(arguments.work.read_text().splitlines()) if arguments.work.exists() else 0
    # From the next seed on, lest a run that goes on samples the same chats again.
    batches = range(there // BATCH, -(-arguments.count // BATCH))
    sample(model, user_prompt(vocab), batches, arguments.work)
    texts = [vocab.text(json.loads(line), special=True) for line in arguments.work.open()]
    kept = {
        json.dumps(one, ensure_ascii=False): None for text in texts if (one := conversation(text))
    }
    write_text(OUT, "".join(f"{line}\n" for line in kept))
    print(f"kept {len(kept)} of {len(texts)}")


if __name__ == "__main__":
    main()
