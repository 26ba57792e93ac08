"""Networks made of cells: their stacks of layers, their parameters, and their forward pass."""
