"""The models that Plum offers to download: `resources/catalog.json`, in the order it shows them.

Sizes there are approximate and digests only where one is pinned: the server tells both at the
time of a download.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote

from plum_desktop.base.errors import PlumError
from plum_desktop.base.paths import resource
from plum_desktop.models.fit import Shape


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """One file of one repository, and what is known of it before it is here."""

    name: str
    repo: str  # owner/name
    file: str
    revision: str
    approximate_size: int  # bytes
    parameters: int  # rounded
    licence: str
    licence_url: str
    architecture: str
    quantization: str
    good_for: str
    layers: int
    kv_heads: int
    head_size: int  # of a key, and of a value
    embedding: int
    inner: int
    vocabulary: int
    context: int  # tokens
    parts: tuple[str, ...] = ()  # tensors that others of its architecture lack
    sha256: str = ""  # empty: whatever the server says

    def url(self, endpoint: str) -> str:
        """Where the file is, in the layout of Hugging Face."""
        path = "/".join(quote(part) for part in (self.repo, "resolve", self.revision, self.file))
        return f"{endpoint.rstrip('/')}/{path}"

    @property
    def shape(self) -> Shape:
        key = self.head_size * self.kv_heads
        # Query and output as wide as the model, key and value narrower, three for the MLP.
        sides = 6 * self.embedding + 2 * key + 3 * (self.embedding + self.inner)
        return Shape(
            file_size=self.approximate_size,
            parameters=self.parameters,
            layers=self.layers,
            kv_heads=self.kv_heads,
            head_size=2 * self.head_size,
            embedding=self.embedding,
            inner=self.inner,
            vocabulary=self.vocabulary,
            context=self.context,
            sides=self.layers * sides,
        )


@cache
def catalog() -> tuple[CatalogModel, ...]:
    """Every model, smaller before larger within a family."""
    rows = json.loads(resource("catalog.json").read_text(encoding="utf-8"))
    return tuple(CatalogModel(**{**row, "parts": tuple(row.get("parts", ()))}) for row in rows)


def find(name: str) -> CatalogModel:
    """The model with this name or file name, in any case.  Raises PlumError where there is none."""
    wanted = name.strip().lower()
    for model in catalog():
        known = (model.name.lower(), model.file.lower(), model.file.lower().removesuffix(".gguf"))
        if wanted in known:
            return model
    there = ", ".join(model.name for model in catalog())
    raise PlumError(
        "There is no model called {name!r} to download; there are: {there}.", name=name, there=there
    )
