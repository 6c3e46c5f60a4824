"""The peers' process: requests on stdin, see `base.wire`.  Imports a peer when it is asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from plum_desktop.base import wire
from plum_desktop.base.wire import Request

_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


class Peers:
    """The peer that is loaded, and the requests that it answers.  One method a request."""

    def __init__(self) -> None:
        self._llama: Any = None
        self._training: Any = None

    def llama(self, request: Request) -> None:
        """Args: `path`, `n_ctx`, `threads`."""
        from plum_desktop.peers.llama import BareLlama

        self._llama = BareLlama(**request.args)

    def generate(self, request: Request) -> dict[str, Any]:
        """Args: `prompt` (ids), `tokens`.  See `BareLlama.generate`."""
        return dict(self._llama.generate(**request.args))

    def training(self, request: Request) -> dict[str, Any]:
        """Args: `kind` (ours, plain or bf16), `model`, `rows`, `threads`, `start`."""
        from plum_desktop.peers.training import load

        self._training = load(**request.args)
        return {}

    def step(self, request: Request) -> dict[str, Any]:
        """Args: `step`.  One step of the rows' plan: `pairs`, `tokens` and `seconds`."""
        return dict(self._training.step(request.args["step"]))

    def save(self, request: Request) -> None:
        """Args: `folder`.  Writes the adapter as it is so far, as peft does."""
        self._training.save(Path(request.args["folder"]))

    def matmul(self, request: Request) -> dict[str, Any]:
        """Args: `threads`.  The rate of this machine's bf16 matrix product, in FLOP a second."""
        from plum_desktop.peers.training import matmul_rate

        return {"flops": matmul_rate(request.args["threads"])}

    def big_model(self, request: Request) -> None:
        """Args: `path`, `gigabytes`.  Writes a model of random weights."""
        from plum_desktop.peers.big_model import write

        write(Path(request.args["path"]), request.args["gigabytes"])


def main() -> None:
    """Serve requests until the parent is gone."""
    stdout = wire.claim_stdout()
    os.environ.update(_OFFLINE)
    peers = Peers()
    names = ("llama", "generate", "training", "step", "save", "matmul", "big_model")
    wire.serve("peer", {name: getattr(peers, name) for name in names}, stdout)
