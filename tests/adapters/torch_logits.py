"""torch's side of a comparison: logits of a row of ids, with or without a PEFT adapter.

Run as a script with a JSON list of {"model", "adapter", "ids", "out"}; writes float32 .npy of
shape (ids, vocabulary).  It never shares a process with llama.cpp.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import peft
import torch

from plum_desktop.learning.trainers.torch_gguf import load_base

if __name__ == "__main__":
    torch.set_num_threads(1)
    base, path = None, None
    for job in json.loads(sys.argv[1]):
        if path != job["model"]:
            base, path = load_base(Path(job["model"]), torch.float32).eval(), job["model"]
        model = base
        if job["adapter"]:
            model = peft.PeftModel.from_pretrained(base, job["adapter"]).eval()
        with torch.no_grad():
            found = model(torch.tensor([job["ids"]])).logits[0]
        np.save(job["out"], found.float().numpy())
        if job["adapter"]:
            base = model.unload()
