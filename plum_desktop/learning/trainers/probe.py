"""Whether a trainer's library works here, found out by training one number on every device."""

from __future__ import annotations

from collections.abc import Callable


def torch_devices() -> dict[str, str]:
    """Device -> empty where torch trains on it, else the reason.  Imports what training does."""
    import peft  # noqa: F401
    import torch
    import transformers  # noqa: F401

    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    return {name: _tried(_torch_step, name) for name, is_there in there.items() if is_there}


def mlx_devices() -> dict[str, str]:
    """Device -> empty where mlx trains on it, else the reason."""
    import mlx_lm  # noqa: F401
    from mlx import core

    name = "cpu" if core.default_device() == core.Device(core.cpu) else "gpu"
    return {name: _tried(_mlx_step, name)}


LIBRARIES: dict[str, Callable[[], dict[str, str]]] = {"torch": torch_devices, "mlx": mlx_devices}


def _tried(step: Callable[[str], float], device: str) -> str:
    try:
        slope = step(device)
    except RuntimeError as error:  # what both raise for a driver, a kernel, or memory
        return str(error).strip().splitlines()[0]
    return "" if abs(slope - 64.0) < 1e-3 else f"it computed {slope:g} instead of 64"


def _torch_step(device: str) -> float:
    import torch

    weight = torch.full((64, 64), 0.5, device=device, requires_grad=True)
    (torch.ones(64, 64, device=device) @ weight).sum().backward()
    assert weight.grad is not None
    return float(weight.grad[0, 0])


def _mlx_step(_: str) -> float:
    from mlx import core

    ones = core.ones((64, 64))
    slope = core.grad(lambda weight: (ones @ weight).sum())(core.full((64, 64), 0.5))
    return float(slope[0, 0].item())
