"""The learning pipeline, a module a stage: select, augment, tokenize, train, gate, merge.

Method: PLUM (Magister et al., arXiv 2411.13405).  What a stage needs of torch, mlx, gguf or
llama.cpp is imported by its worker side alone.
"""
