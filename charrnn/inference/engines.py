"""Who computes when a model is used, and how its matrices are stored; the first of each is the default."""

# Compiled code or NumPy, or each where it is better.
ENGINES = ("auto", "compiled", "numpy")
WEIGHTS = ("float32", "bf16", "int8")
# The processors for which code is compiled.
PROCESSORS = ("x86_64", "amd64", "arm64", "aarch64")
