"""transformers with the models that can learn here, of the hundreds that it knows.

It lists its own folders, as sources, to find what it has; so they come as files.
"""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules, copy_metadata

from plum_desktop.models.support import LEARNABLE

module_collection_mode = "py"
# Its other models are excluded in the spec.
hiddenimports = collect_submodules("transformers", filter=lambda name: ".models." not in name)
hiddenimports += ["transformers.models.auto.modeling_auto"]
for _name in ("bloom", "encoder_decoder", *LEARNABLE):
    hiddenimports += collect_submodules(f"transformers.models.{_name}")
datas = collect_data_files("transformers", excludes=["models/**"])
# Saving an adapter makes a card from a template, and asks the metadata whether jinja2 is there.
datas += collect_data_files("huggingface_hub")
for _name in ("transformers", "peft"):
    datas += copy_metadata(_name, recursive=True)
