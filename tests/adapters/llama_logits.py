"""llama.cpp's side of a comparison: logits of a row of ids, with or without a hot adapter.

Run as a script with a JSON list of {"model", "adapter", "ids", "out"}; writes float32 .npy of
shape (ids, vocabulary).  It never shares a process with torch.
"""

from __future__ import annotations

import ctypes
import json
import sys

import llama_cpp
import numpy as np


@llama_cpp.llama_log_callback
def _silent(level: int, text: bytes, data: object) -> None:
    pass


def logits(model_path: str, adapter_path: str | None, ids: list[int]) -> np.ndarray:
    params = llama_cpp.llama_model_default_params()
    params.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(model_path.encode(), params)
    assert model, model_path
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx = settings.n_batch = settings.n_ubatch = 128
    settings.type_k = settings.type_v = 0  # F32: the cache rounds nothing
    settings.n_threads = settings.n_threads_batch = 1
    settings.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = llama_cpp.llama_init_from_model(model, settings)
    assert context
    if adapter_path:
        adapter = llama_cpp.llama_adapter_lora_init(model, adapter_path.encode())
        assert adapter, adapter_path
        one = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(adapter)
        assert llama_cpp.llama_set_adapters_lora(context, one, 1, (ctypes.c_float * 1)(1.0)) == 0
    batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
    batch.n_tokens = len(ids)
    for position, token in enumerate(ids):
        batch.token[position] = token
        batch.pos[position] = position
        batch.n_seq_id[position] = 1
        batch.seq_id[position][0] = 0
        batch.logits[position] = 1
    assert llama_cpp.llama_decode(context, batch) == 0
    width = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    found = np.ctypeslib.as_array(llama_cpp.llama_get_logits(context), (len(ids), width)).copy()
    llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return found


if __name__ == "__main__":
    llama_cpp.llama_log_set(_silent, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    for job in json.loads(sys.argv[1]):
        np.save(job["out"], logits(job["model"], job["adapter"], job["ids"]))
