"""transformers with the models that can learn here, of the hundreds that it knows.

It lists its own folders, as sources, to find what it has; so they come as files.
"""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules, copy_metadata

from plum_desktop.models.support import LEARNABLE

module_collection_mode = "py"
_KEPT = {"auto", "encoder_decoder", *LEARNABLE}


def _kept(name: str) -> bool:
    parts = name.split(".")
    return parts[1:2] != ["models"] or len(parts) < 3 or parts[2] in _KEPT


hiddenimports = collect_submodules("transformers", filter=_kept)
datas = collect_data_files("transformers", excludes=["models/**"])
for _name in (
    "accelerate", "filelock", "huggingface_hub", "numpy", "packaging", "peft", "pyyaml", "regex",
    "requests", "safetensors", "tokenizers", "torch", "tqdm", "transformers",
):  # fmt: skip
    datas += copy_metadata(_name)
