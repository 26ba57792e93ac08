"""The equations of every cell, each written once, and the table of cells.

A cell is a function `step(xp, zx, state, dot, w) -> state` of one time step. Keras training, NumPy sampling and
gradient checking all call the same function, so it depends on none of them:

- `xp` is an `ArrayNamespace`: all that a step may call;
- `zx` is the projected input, W x + b, (batch, blocks * units), its blocks in the order that the docstring gives;
- `state` holds what the cell remembers, by name, each (batch, units); its first field, `h`, is the cell's output;
- `dot(vector, name)` multiplies (batch, units) by the recurrent matrix `name`. Every recurrent product goes through it,
  so the scan can compute the gradient of a matrix as one large product after the loop;
- `w` maps names to the parameters that are not matrices (peepholes, gains), each (units,) or several blocks of that.

In the docstrings W, U are matrices, * is elementwise, sigma the logistic function.
"""

from charrnn.cells.cell import Array, ArrayNamespace, Cell, Hidden, HiddenAndMemory, Matrix, Vector
from charrnn.cells.table import CELLS

__all__ = ["CELLS", "Array", "ArrayNamespace", "Cell", "Hidden", "HiddenAndMemory", "Matrix", "Vector"]
