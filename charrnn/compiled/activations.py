"""Activations of vectors: in float32 as rational functions, in float64 from the C library.

tests/compiled/test_activations.py has their largest errors, in units in the last place, over the float32 numbers.
"""

from collections.abc import Sequence
from typing import Any

import llvmlite.ir as ir

# tanh(x) = x P(x^2) / Q(x^2) up to where it rounds to 1 (the coefficients of Eigen, highest power first).
TANH_P = (
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
TANH_Q = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
TANH_MAX = 7.90531110763549805
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
        return self.divide(self.multiply(x, self.polynomial(x2, TANH_P)), self.polynomial(x2, TANH_Q))

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
