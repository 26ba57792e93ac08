"""How the work of a kernel is divided: which CTA has which units and rows, and which warp which part of a product.

A CTA is a group of threads on one multiprocessor. All CTAs run at the same time, and those that share rows wait for
each other at every step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from charrnn.compiled.step import Product

# A thread has 255 registers with 8 warps and 128 with 16; so many of them may hold matrices.
REGISTERS = {8: 96, 16: 64}


class NoTiles(Exception):
    """A layer cannot be divided; says why."""


@dataclass(frozen=True)
class Tiles:
    """The division of a layer of `units` units and a batch of `batch` rows.

    slice: the units of a CTA. rows: the rows of a CTA, a multiple of 16. across, down: how many CTAs share the units
    and the rows. warps: of a CTA. at_once: the rows of a product that are computed before its parts are added.
    """

    units: int
    batch: int
    slice: int
    rows: int
    across: int
    down: int
    warps: int
    at_once: int

    @property
    def threads(self) -> int:
        return 32 * self.warps

    @property
    def elements(self) -> int:
        """Return how many numbers of each (rows, slice) a thread has."""
        return -(-self.rows * self.slice // self.threads)

    def warps_of(self, product: Product) -> tuple[int, int]:
        """Return among how many warps the columns of a product are divided, and its rows K."""
        columns = product.columns // self.units * self.slice
        across = 2 if columns >= 32 and columns % 16 == 0 else 1
        return across, self.warps // across

    def parts(self, product: Product) -> int:
        """Return the bytes of the parts of a product."""
        columns = product.columns // self.units * self.slice
        return self.warps_of(product)[1] * self.at_once * (columns + 8) * 4


def tiles_for(units: int, batch: int, products: Sequence[Product], size: int, processors: int, shared: int) -> Tiles:
    """Return the division for operands of `size` bytes, or raise NoTiles.

    processors: the multiprocessors of the GPU; shared: the bytes of shared memory of each.
    """
    if units % 16:
        raise NoTiles("the units are no multiple of 16")
    numbers = sum({(p.matrix, p.transposed): p.rows * p.columns for p in products}.values())
    for slice in (16, 8):
        across = units // slice
        for warps in (8, 16):
            registers = numbers * size // across // (4 * 32 * warps)
            if registers <= REGISTERS[warps] and across <= processors:
                return _divided(units, batch, products, slice, across, warps, processors, shared)
    raise NoTiles("the matrices are too large for the registers of the GPU")


def _divided(
    units: int,
    batch: int,
    products: Sequence[Product],
    slice: int,
    across: int,
    warps: int,
    processors: int,
    shared: int,
) -> Tiles:
    """Return the division with as many CTAs as fit."""
    groups = -(-batch // 16)
    rows = 16 * -(-groups // min(groups, processors // across))
    # A turn of all threads has whole rows.
    turn = max(16, 32 * warps // slice)
    rows = rows if rows <= turn else -(-rows // turn) * turn
    at_once = rows
    while True:
        tiles = Tiles(units, batch, slice, rows, across, -(-batch // rows), warps, at_once)
        if all(tiles.parts(product) <= shared for product in products):
            return tiles
        divisors = [n for n in range(at_once - 1, 0, -1) if rows % n == 0 and n % turn == 0]
        if not divisors:
            raise NoTiles("the parts of a product are too large for the shared memory of the GPU")
        at_once = divisors[0]
