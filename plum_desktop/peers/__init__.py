"""What `plum-desktop bench` measures us against: plain programs that do the same work.

They are children, started by `app.bench` and imported by nothing; what they need of torch,
llama.cpp or Qt is imported inside them.
"""
