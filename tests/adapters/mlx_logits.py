"""MLX's side of a comparison: logits of a row of ids as the trainer computes them.

Run as a script with a JSON list of {"model", "adapter", "ids", "out"}; writes float32 .npy of
shape (ids, vocabulary).  `adapter` is a PEFT folder or null.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from plum_desktop.learning.packing import pack
from plum_desktop.learning.recipe import preset
from plum_desktop.learning.rows import Row
from plum_desktop.learning.trainers.mlx_lora import MlxTrainer

if __name__ == "__main__":
    for job in json.loads(sys.argv[1]):
        adapter = Path(job["adapter"]) if job["adapter"] else None
        trainer = MlxTrainer(Path(job["model"]), preset("default"), adapter, hold="floats")
        ids = np.array(job["ids"], np.int32)
        packs = pack([Row(ids, np.ones(len(ids), np.float32))])
        np.save(job["out"], np.array(trainer.logits(packs, np.arange(len(ids)))))
