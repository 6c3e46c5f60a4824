"""A stage worker: one process for one stage of one job, which then ends.

What a stage needs of torch, mlx, gguf or llama.cpp is imported here, inside its handler.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plum_desktop.base import log, wire
from plum_desktop.base.errors import PlumError
from plum_desktop.base.peak import peak_bytes
from plum_desktop.base.wire import Handler, Request
from plum_desktop.learning.job import JobFolder

_OFFLINE = {
    # The libraries look for nothing on the network, and send nothing.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
# The merge has threads of its own, and its products are small: shared out once more, by OpenBLAS
# or Accelerate, they took ten times the processor.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "VECLIB_MAXIMUM_THREADS": "1"}


_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Answer requests until the parent leaves."""
    _end_with_parent()
    stdout = wire.claim_stdout()
    os.environ.update(_OFFLINE)
    if folder := os.environ.get("PLUM_LOG_DIR"):
        log.start(Path(folder), "stage", logging.WARNING)
    stages: dict[str, Handler] = {
        "tokenize": _tokenize,
        "train": _train,
        "merge": _merge,
        "bring_in": _bring_in,
        "probe": _probe,
    }
    wire.serve("stage", {op: _measured(handler) for op, handler in stages.items()}, stdout)


def _end_with_parent() -> None:
    """Have Linux end this process with the thread that started it, which waits for its result.

    A worker is held still by its parent.  Where that is killed before the stop is complete (all
    threads of this process have to meet it), the system wakes nobody, and no end of stdin is read.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _measured(handler: Handler) -> Handler:
    """Add the process's peak memory to a handler's result."""

    def run(request: Request) -> dict[str, Any]:
        return {**(handler(request) or {}), "peak_bytes": peak_bytes()}

    return run


def _probe(request: Request) -> dict[str, Any]:
    """Args: `library`.  No stage: whether the library trains here, and on what."""
    from plum_desktop.learning.trainers import probe

    try:
        return {"devices": probe.LIBRARIES[request.args["library"]]()}
    except (ImportError, OSError) as error:  # a package is missing, or a library in it
        raise PlumError("It cannot be loaded ({error}).", error=error) from error


def _tokenize(request: Request) -> dict[str, Any]:
    """Args: `job`, `anchors` (file or None).  Writes the job's rows."""
    from plum_desktop.learning.tokenize import make_rows

    job = JobFolder(Path(request.args["job"]))
    anchors = request.args["anchors"]
    plan = make_rows(job, Path(anchors) if anchors else None, request.check, request.progress)
    plan.save(job.rows)
    return {"steps": len(plan.steps), "rows": len(plan.rows)}


def _train(request: Request) -> dict[str, Any]:
    """Args: `job`, `threads`.  Writes the adapter, canonical and as llama.cpp loads it."""
    from plum_desktop.adapters.gguf_format import write_gguf
    from plum_desktop.adapters.merge import delta_norms
    from plum_desktop.adapters.peft_format import read_peft, write_peft
    from plum_desktop.learning.train import train
    from plum_desktop.models.header import read_header

    job = JobFolder(Path(request.args["job"]))
    spec = job.read_spec()
    model = Path(spec.model)
    request.progress(0.0, "loading the model")

    def make() -> Any:
        folder = spec.parent_adapter or spec.primer
        start = Path(folder) if folder else None
        if spec.backend == "mlx":
            from plum_desktop.learning.trainers.mlx_lora import MlxTrainer

            return MlxTrainer(model, spec.recipe, start)
        from plum_desktop.learning.trainers.torch_peft import TorchTrainer

        return TorchTrainer(model, spec.recipe, start, request.args["threads"])

    result = train(job, make, spec.recipe, request)
    adapter = read_peft(job.adapter).with_metadata(spec.metadata())
    write_peft(adapter, job.adapter)
    norms = delta_norms(adapter, model)
    # Last, since its presence says that the stage is done.
    write_gguf(adapter, read_header(model), job.adapter_gguf)
    return {**asdict(result), "delta_norms": norms}


def _merge(request: Request) -> dict[str, Any]:
    """Args: `model`, `folder` of the adapter, `out`, and `at_least` if wished.  Writes the merged
    model; the result is the merge's report.
    """
    os.environ.update(_ONE_THREAD)  # before numpy comes
    from plum_desktop.adapters.merge import merge
    from plum_desktop.adapters.peft_format import read_peft

    args = {key: Path(request.args[key]) for key in ("model", "folder", "out")}
    adapter = read_peft(args["folder"])
    at_least = request.args.get("at_least")
    report = merge(args["model"], adapter, args["out"], request.progress, request.check, at_least)
    return {**asdict(report), "least_kept": report.least_kept}


def _bring_in(request: Request) -> dict[str, Any]:
    """Args: `path`, `model`, `model_sha256`, `folder`.  Writes an adapter made elsewhere into
    `folder` as a learning run would have.
    """
    from plum_desktop.adapters.foreign import read_adapter
    from plum_desktop.adapters.gguf_format import write_gguf
    from plum_desktop.adapters.peft_format import write_peft
    from plum_desktop.models.header import read_header

    path, folder = Path(request.args["path"]), Path(request.args["folder"])
    base = read_header(Path(request.args["model"]))
    adapter = read_adapter(path, base, request.args["model_sha256"])
    write_peft(adapter, folder)
    write_gguf(adapter, base, folder / "adapter.gguf")
    return {"rank": adapter.rank, "modules": len(adapter.tensors)}
