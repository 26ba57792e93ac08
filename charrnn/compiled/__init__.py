"""Cells compiled with LLVM: the scan of a layer over time, forwards and backwards (README.md)."""
