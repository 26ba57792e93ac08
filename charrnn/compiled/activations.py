"""Activations of vectors: in float32 as rational functions, in float64 from the C library.

ULPS has their largest errors, in units in the last place of the result, over the float32 numbers from the smallest
normal one on. tests/compiled/test_activations.py checks them, with and without instructions that multiply and add. The
sigmoid is tanh(x / 2) / 2 + 1 / 2: its error is at most SIGMOID_ERROR, so that of a very small result nothing is exact.
The tanh and the sigmoid reach exactly 1, -1 and 0, so that an open gate loses nothing. The scan flushes denormal
numbers to 0 (`Code.flushing`).
"""

from collections.abc import Sequence
from typing import Any

import llvmlite.ir as ir

ULPS = {"tanh": 6.1, "exp": 1.3, "log_sigmoid": 2.0, "rsqrt": 1.5}
SIGMOID_ERROR = 2.1e-7

# tanh(x) = x P(x^2) / Q(x^2) (the coefficients of Eigen, highest power first). TANH_MAX is a number near which tanh
# rounds to 1, and for which the quotient is exactly 1 and was never larger before.
TANH_P = (1.394553628e-8, 2.102733560e-5, 3.520756727e-3, 1.340216100e-1, 1.0)
TANH_Q = (8.015776984e-7, 3.326951409e-4, 2.597254515e-2, 4.673548340e-1, 1.0)
TANH_MAX = 7.968970775604248
# exp(r) = 1 + r + r^2 P(r) for |r| <= log(2) / 2, and log(1 + x) = x - x^2 / 2 + x^3 P(x) (Cephes, Moshier 1989).
EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5)
EXP_MAX, EXP_MIN = 88.72283, -87.33654
LOG2_E, LOG_2_HIGH, LOG_2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4
LOG = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
SQRT_HALF = 0.70710678118654752


class Activations:
    """The part of `Code` that computes activations."""

    b: ir.IRBuilder
    bytes: int
    lanes: int
    type: ir.Type
    number: Any
    integers: Any
    multiply: Any
    add: Any
    subtract: Any
    divide: Any
    fma: Any
    call: Any
    library: Any

    def at_most(self, bound: float, x: ir.Value) -> ir.Value:
        """Return the smaller one of a number and x; NaN stays NaN."""
        limit = self.number(bound)
        return self.b.select(self.b.fcmp_ordered("<", limit, x), limit, x)

    def at_least(self, bound: float, x: ir.Value) -> ir.Value:
        """Return the larger one of a number and x; NaN stays NaN."""
        limit = self.number(bound)
        return self.b.select(self.b.fcmp_ordered(">", limit, x), limit, x)

    def polynomial(self, x: ir.Value, coefficients: Sequence[float]) -> ir.Value:
        """Return a polynomial of x, highest power first."""
        value = self.number(coefficients[0])
        for coefficient in coefficients[1:]:
            value = self.fma(value, x, self.number(coefficient))
        return value

    def tanh(self, x: ir.Value) -> ir.Value:
        if self.bytes == 8:
            return self.library("tanh", x)
        x = self.at_most(TANH_MAX, self.at_least(-TANH_MAX, x))
        x2 = self.multiply(x, x)
        # x alone after the division: of the smallest numbers nothing becomes 0.
        return self.multiply(x, self.divide(self.polynomial(x2, TANH_P), self.polynomial(x2, TANH_Q)))

    def sigmoid(self, x: ir.Value) -> ir.Value:
        if self.bytes == 8:
            # Of -x, so that a small result is not the difference of two large numbers.
            return self.divide(self.number(1.0), self.add(self.number(1.0), self.exp(self.negative(x))))
        half = self.number(0.5)
        return self.fma(self.tanh(self.multiply(x, half)), half, half)

    def negative(self, x: ir.Value) -> ir.Value:
        return self.b.fneg(x)

    def exp(self, x: ir.Value) -> ir.Value:
        if self.bytes == 8:
            return self.library("exp", x)
        return self._exp(x)

    def _exp(self, x: ir.Value) -> ir.Value:
        overflows = self.b.fcmp_ordered(">", x, self.number(EXP_MAX))
        vanishes = self.b.fcmp_ordered("<", x, self.number(EXP_MIN))
        inside = self.at_most(EXP_MAX, self.at_least(EXP_MIN, x))
        n = self.call("llvm.rint", self.multiply(inside, self.number(LOG2_E)))
        r = self.fma(n, self.number(-LOG_2_HIGH), inside)
        r = self.fma(n, self.number(-LOG_2_LOW), r)
        y = self.fma(self.polynomial(r, EXP), self.multiply(r, r), self.add(r, self.number(1.0)))
        # 2^n in two factors, as n may be 128, one more than the largest exponent.
        integers = self.integers(0).type
        # The integer of a NaN could be anything: 0 instead, and y is NaN anyway.
        n = self.b.select(self.b.fcmp_ordered("ord", n, n), n, self.number(0.0))
        whole = self.b.fptosi(n, integers)
        half = self.b.ashr(whole, self.integers(1))
        for part in (half, self.b.sub(whole, half)):
            power = self.b.shl(self.b.add(part, self.integers(127)), self.integers(23))
            y = self.multiply(y, self.b.bitcast(power, self.type))
        y = self.b.select(overflows, self.number(float("inf")), y)
        return self.b.select(vanishes, self.number(0.0), y)

    def log_sigmoid(self, x: ir.Value) -> ir.Value:
        """Return min(x, 0) - log(1 + exp(-|x|)): nothing overflows, and nothing is lost where the sigmoid is near 0."""
        e = self.exp(self.negative(self.call("llvm.fabs", x)))
        more = self.library("log1p", e) if self.bytes == 8 else self._log1p(e)
        return self.subtract(self.at_most(0.0, x), more)

    def _log1p(self, x: ir.Value) -> ir.Value:
        """Return log(1 + x) for x from 0 to 1."""
        # From sqrt(2) - 1 on, log(1 + x) = log(2) + log((1 + x) / 2), so that the series is short.
        large = self.b.fcmp_ordered(">", x, self.number(2 * SQRT_HALF - 1))
        y = self.b.select(large, self.multiply(self.subtract(x, self.number(1.0)), self.number(0.5)), x)
        y2 = self.multiply(y, y)
        value = self.multiply(self.multiply(y, y2), self.polynomial(y, LOG))
        zero = self.number(0.0)
        value = self.add(value, self.b.select(large, self.number(LOG_2_LOW), zero))
        value = self.add(self.fma(y2, self.number(-0.5), value), y)
        return self.add(value, self.b.select(large, self.number(LOG_2_HIGH), zero))
