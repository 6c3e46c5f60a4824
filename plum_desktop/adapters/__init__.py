"""LoRA adapters: the canonical PEFT form, GGUF, and merging into a base model's GGUF."""
