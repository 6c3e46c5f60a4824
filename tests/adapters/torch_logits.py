"""torch's side of a comparison: logits of a row of ids, with or without a PEFT adapter.

Run as a script with a JSON list of {"model", "kind", "adapter", "ids", "out"}; writes float32 .npy
of shape (ids, vocabulary).  `kind` is one of tiny_bases, or null: as training loads the model.
Where `out` ends with _added, the change is added to the weights in place of asking peft.
It never shares a process with llama.cpp.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import peft
import torch

from plum_desktop.adapters.peft_format import read_peft
from plum_desktop.learning.trainers import torch_gguf
from tests.adapters import tiny_bases


def load(path: Path, kind: str | None) -> Any:
    if kind is None:
        return torch_gguf.load_base(path, torch.float32).eval()
    return tiny_bases.load_base(tiny_bases.KINDS[kind], path)


def added(model: Any, folder: Path) -> Any:
    """`model` with W + alpha / rank * B @ A in the place of every W."""
    adapter = read_peft(folder)
    for module, (a, b) in adapter.tensors.items():
        change = adapter.scale * b.astype(np.float64) @ a
        weight = model.get_submodule(module).weight
        weight.data = (weight.data.double() + torch.from_numpy(change)).float()
    return model


if __name__ == "__main__":
    torch.set_num_threads(1)
    for job in json.loads(sys.argv[1]):
        model = load(Path(job["model"]), job["kind"])
        if job["adapter"]:
            folder = Path(job["adapter"])
            by_formula = Path(job["out"]).stem.endswith("_added")
            model = (
                added(model, folder)
                if by_formula
                else peft.PeftModel.from_pretrained(model, folder).eval()
            )
        with torch.no_grad():
            found = model(torch.tensor([job["ids"]])).logits[0]
        np.save(job["out"], found.float().numpy())
