"""Cells put together to a network: its stacks of layers, its parameters, and its forward pass."""
