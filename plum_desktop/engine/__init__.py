"""The engine: one llama.cpp process on one model, with an adapter hot, swapped or off.

`client`, `fitting` and the dataclasses are for any process; everything else here belongs to
the worker and imports llama_cpp.
"""
