"""How fast Plum is beside its peers: each part's own bench, a module a part.

A peer is what somebody would use in our place for the same work: the bare sqlite3 module, the
bare loop of llama-cpp-python, transformers' Trainer, a copy of a file, an empty window.  Both
sides work in turns in one run, so that whatever else the machine does slows both alike, and
what is told is their ratio.  Nothing here is a test of speed: see docs/performance.md.
"""
