"""One LoRA adapter in memory, named and laid out as transformers names modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from plum_desktop.base.errors import DamagedFile, PlumError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

# Metadata keys that Plum writes; values are text, and never a word of a chat.
BASE_SHA256, RECIPE, CREATED_BY, CREATED = "base_sha256", "recipe", "created_by", "created"

LARGEST_RANK = 4096  # beyond any that is trained; a file that claims more only costs memory


@dataclass(frozen=True, slots=True)
class LoraAdapter:
    """W + alpha / rank * B @ A for every module in `tensors`.

    `tensors`: module path (`model.layers.0.self_attn.q_proj`) -> (A (rank, in), B (out,
    rank)), float32.  One rank and one alpha for all, as the GGUF form has only those.
    """

    alpha: float
    rank: int
    tensors: Mapping[str, tuple[Matrix, Matrix]]
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def scale(self) -> float:
        return self.alpha / self.rank

    def with_metadata(self, metadata: Mapping[str, str]) -> LoraAdapter:
        """The same adapter with other metadata."""
        return replace(self, metadata=dict(metadata))

    def __post_init__(self) -> None:
        """Raises DamagedFile for shapes that do not fit together or numbers that are not finite."""
        import numpy as np

        if not self.tensors:
            raise DamagedFile("The adapter is empty.")
        if not (1 <= self.rank <= LARGEST_RANK and np.isfinite(self.alpha) and self.alpha):
            raise DamagedFile(
                "The adapter is damaged: rank {rank} and alpha {alpha:g} make no sense.",
                rank=self.rank,
                alpha=self.alpha,
            )
        for module, (a, b) in self.tensors.items():
            if a.ndim != 2 or b.ndim != 2 or a.shape[0] != self.rank or b.shape[1] != self.rank:
                raise DamagedFile(
                    "The adapter is damaged: {module} has shapes {shape} and {b_shape} where "
                    "rank {rank} is needed.",
                    module=module,
                    shape=a.shape,
                    b_shape=b.shape,
                    rank=self.rank,
                )
            if not (np.isfinite(a).all() and np.isfinite(b).all()):
                raise DamagedFile(
                    "The adapter is damaged: {module} holds numbers that are not finite.",
                    module=module,
                )


def same_rank(
    alpha: float,
    parts: Mapping[str, tuple[Matrix, Matrix, float]],
    metadata: Mapping[str, str],
) -> LoraAdapter:
    """One adapter from modules whose ranks and scales differ: (A, B, scale) each.

    Missing rank is filled with zeros and differing scale folded into B, so every module's
    change of the weights stays what it was.
    """
    import numpy as np

    rank = max((a.shape[0] for a, _, _ in parts.values() if a.ndim == 2), default=0)
    if not (1 <= rank <= LARGEST_RANK and alpha):
        raise DamagedFile(
            "The adapter is damaged: rank {rank} and alpha {alpha:g} make no sense.",
            rank=rank,
            alpha=alpha,
        )
    tensors: dict[str, tuple[Matrix, Matrix]] = {}
    for module, (a, b, scale) in parts.items():
        if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1]:
            raise DamagedFile(
                "The adapter is damaged: the shapes {shape} and {b_shape} of {module} do not "
                "fit together.",
                shape=a.shape,
                b_shape=b.shape,
                module=module,
            )
        if missing := rank - a.shape[0]:
            a, b = np.pad(a, ((0, missing), (0, 0))), np.pad(b, ((0, 0), (0, missing)))
        if scale != alpha / rank:
            with np.errstate(all="ignore"):  # what is not finite then, LoraAdapter refuses
                b = (b * np.float32(scale / (alpha / rank))).astype(np.float32)
        tensors[module] = (a, b)
    return LoraAdapter(alpha, rank, tensors, metadata)


def require_base(adapter: LoraAdapter, base_sha256: str) -> None:
    """Raise PlumError where the adapter says that it was made for another base file."""
    made_for = adapter.metadata.get(BASE_SHA256)
    if made_for and made_for != base_sha256:
        raise PlumError(
            "This adapter was made for another model file; use it with the model it was trained on."
        )
