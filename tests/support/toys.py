"""Cells made to break what is made of a trace: toys that do one awkward thing each, and random ones."""

import random
from typing import Any, NamedTuple

import numpy as np

from charrnn.cells import Cell, Hidden, Matrix, Vector
from charrnn.cells import HiddenAndMemory as Two

UNITS = 6
# A toy cell may multiply a part of this width by its matrix "from<width>", (width, units).
NARROW = {f"from{width}": Matrix("h", rows=width / UNITS) for width in range(1, UNITS)}


class Three(NamedTuple):
    h: Any
    c: Any
    m: Any


def toy(step, state=Two, gates=1, matrices=None, vectors=()) -> Cell:
    matrices = {name: Matrix("abcdefgh"[:blocks]) for name, blocks in (matrices or {"U": 1}).items()}
    return Cell("toy", "", step, state, "abcdefgh"[:gates], NARROW | matrices, dict.fromkeys(vectors, Vector()))


def everything(xp, zx, state, dot, w):
    """Every operator with an array, a vector and a constant on either side; parts of unequal width, and of parts."""
    n = state.h.shape[-1]
    a, b, rest = xp.split(zx + dot(state.h, "U"), [n, 2 * n], axis=-1)
    thin, wide = xp.split(rest, [2], axis=-1)
    first, second, third = xp.split(state.m, 3, axis=-1)
    c = xp.sigmoid(a) * state.c + w["p"] * state.c - state.c * w["q"] + 0.25 * b - b * 0.125
    c = 1 - (c - 1) * 0.5 + (w["q"] - c) * 0.25 + (c - w["p"]) * 0.25 + (2 + c) * 0.1 + (c + w["q"]) * 0.1
    m = xp.tanh(dot(xp.tanh(c + (w["p"] + state.h)), "V") * state.m)
    narrow = xp.sigmoid(thin) * first + second - xp.tanh(third)
    h = dot(narrow, "from2") + dot(xp.tanh(wide), "from4") + dot(m * state.c, "V")
    return Three(xp.tanh(h), xp.tanh(c), m + 0.1 * dot(h * state.m, "V"))


def left_vector(xp, zx, state, dot, w):
    """A vector is the left operand of each operator, where NumPy would take the operation over."""
    return Two(xp.tanh(w["p"] * zx + (w["q"] + dot(state.h, "U"))), xp.tanh(w["q"] - state.c))


def delay(xp, zx, state, dot, w):
    """The old h becomes the new c: it is read after the new h is made."""
    return Two(xp.tanh(zx + dot(state.c, "U")), state.h)


def linear_delay(xp, zx, state, dot, w):
    return Two(0.5 * zx + dot(state.c, "U"), state.h)


def exchange(xp, zx, state, dot, w):
    return Two(state.c, xp.tanh(zx + dot(state.h, "U")))


def rotate(xp, zx, state, dot, w):
    return Three(state.c, state.m, state.h)


def keep_one(xp, zx, state, dot, w):
    return Two(xp.tanh(zx + dot(state.h, "U") + state.c), state.c)


def input_as_state(xp, zx, state, dot, w):
    """The input itself becomes the state, as in a cell that blends neighbouring characters."""
    return Two(xp.tanh(state.c + dot(state.h, "U")), zx)


def same_twice(xp, zx, state, dot, w):
    h = 0.5 * (zx + dot(state.c, "U"))
    return Two(h, h)


def state_of_parts(xp, zx, state, dot, w):
    return Two(*xp.split(0.5 * (zx + dot(state.h + state.c, "U")), 2, axis=-1))


def state_and_its_part(xp, zx, state, dot, w):
    """The new c is a part of a wide array, and the new h is made from the old c at the very end."""
    left, right = xp.split(zx + dot(state.h, "U"), 2, axis=-1)
    return Two(0.5 * right + state.c * 0.5, left)


def state_of_activations(xp, zx, state, dot, w):
    a, b = xp.split(zx + dot(state.h - state.c, "U"), 2, axis=-1)
    return Two(xp.tanh(a), xp.sigmoid(b))


def state_of_crossed_activations(xp, zx, state, dot, w):
    """Both are made in one pass, in which the old c is still to be read."""
    a, b = xp.split(zx + dot(state.h, "U"), 2, axis=-1)
    new_c = xp.sigmoid(a)
    return Two(xp.tanh(b) * state.c, new_c)


def state_of_products(xp, zx, state, dot, w):
    return Two(dot(state.h, "U"), dot(zx * state.c, "U"))


def read_late(xp, zx, state, dot, w):
    """The old c is read after the new one is made."""
    c = 0.5 * (zx + dot(state.h, "U"))
    return Two(xp.tanh(dot(c, "U") * state.c), c)


def part_read_late(xp, zx, state, dot, w):
    """A part of a part of the old c, taken at the beginning, is read after the new c is made."""
    _, right = xp.split(state.c, [2], axis=-1)
    _, late = xp.split(right, 2, axis=-1)
    c = 0.5 * (zx + dot(state.h, "U"))
    early, _ = xp.split(c, [2], axis=-1)
    return Two(xp.tanh(dot(late * early, "from2") + c), c)


def activation_of_old_part_late(xp, zx, state, dot, w):
    """Of neighbouring parts of the old c one is needed at once, the other when the new c is there."""
    low, high = xp.split(state.c, 2, axis=-1)
    c = 0.5 * zx + dot(dot(xp.sigmoid(low), "from3"), "U")
    late = xp.tanh(high) * xp.sigmoid(low)
    return Two(c + dot(late, "from3"), c)


def activations_overlap(xp, zx, state, dot, w):
    """Activations of parts that overlap, and two of one part: they cannot all be neighbours of one another."""
    n = state.h.shape[-1]
    z = zx + dot(state.h, "U")
    a, b, c = xp.split(z, 3, axis=-1)
    left, right = xp.split(z, [2 * n], axis=-1)
    ta, sb, sc, tb = xp.tanh(a), xp.sigmoid(b), xp.sigmoid(c), xp.tanh(b)
    x, y = xp.split(xp.tanh(left), 2, axis=-1)
    return Two(ta * sb + sc * x, tb * xp.sigmoid(right) - y * state.c)


def activations_from_the_second(xp, zx, state, dot, w):
    """The activations are those of neighbouring blocks, but not of the first."""
    a, b, c = xp.split(zx + dot(state.h, "U"), 3, axis=-1)
    new_c = xp.sigmoid(b) * state.c + xp.tanh(c)
    return Two(a * 0.5 - new_c, new_c)


def vectors_alone(xp, zx, state, dot, w):
    """What is made of vectors alone, an activation of a part too, is added to, multiplied by, and divided by."""
    left, right = xp.split(w["p"] * (1 - w["q"]), 2, axis=-1)
    both = xp.concatenate([xp.tanh(left), xp.sigmoid(right)], axis=-1)
    return Three(xp.tanh(zx + both * dot(state.h, "U")) / (2 + xp.relu(both)), both * state.c, state.m - both)


def signs(xp, zx, state, dot, w):
    """A sign, a number divided by an array, and the larger of a number and an array, on either side."""
    h = -xp.tanh(zx + dot(state.h, "U")) + 1 / (2 + xp.maximum(0.1, state.c) + xp.maximum(state.c, 0.2))
    return Two(h, 1.5 / (1 + h * h))


def summand_read_late(xp, zx, state, dot, w):
    """What is added to a product is needed again when the product is there."""
    a = 0.5 * zx
    h = dot(state.h, "U") + a
    return Two(xp.tanh(h), a * h + state.c)


def product_of_product(xp, zx, state, dot, w):
    """A matrix is used twice, a product is multiplied by a matrix as it is, and another is read outside of sums."""
    m = dot(state.h, "U") * dot(state.c, "V")
    p = dot(dot(m, "V"), "U")
    return Two(xp.tanh(zx + p) + 0.1 * p * p, xp.tanh(m) * zx)


def product_and_sum(xp, zx, state, dot, w):
    """A product is a state and a summand, another one an operand and a summand, a third one a state and an operand."""
    p, q, r = dot(state.h, "U"), dot(state.c, "V"), dot(state.h, "V")
    return Three(p, xp.tanh(p + zx) + dot(q, "U") * xp.sigmoid(q + zx) + dot(r, "V") * zx, r)


def dead_product(xp, zx, state, dot, w):
    """A product and an activation lead nowhere; the new c is a product as it is."""
    dot(xp.tanh(zx), "V")
    return Two(state.c, dot(state.h, "U") + 0.5 * zx)


def activation_twice(xp, zx, state, dot, w):
    """An activation is a state, an operand of a product, and a factor."""
    h = xp.tanh(zx + dot(state.h, "U"))
    return Two(h, h * xp.sigmoid(dot(h, "V")))


def concatenated(xp, zx, state, dot, w):
    """Pieces of several arrays are side by side, in a product, in an activation, and in a state."""
    left, right = xp.split(state.c, [2], axis=-1)
    swapped = xp.concatenate([right, left], axis=-1)
    a, b = xp.split(xp.tanh(xp.concatenate([swapped, zx], axis=-1) + dot(swapped, "U")), 2, axis=-1)
    first, second = xp.split(b, 2, axis=-1)
    return Two(a * zx, xp.concatenate([second, first], axis=-1))


def constants(xp, zx, state, dot, w):
    """Arrays of numbers on either side of each operator, one of them with a row of its own."""
    k = np.arange(UNITS) / UNITS
    return Two(xp.tanh(dot(state.h * k, "U") + zx * k[None]), k - state.c * k + 1 / (k + 2) * zx / (k + 1))


def every_function(xp, zx, state, dot, w):
    """All functions that a step may call."""
    z = xp.standardize(zx + dot(state.h, "U")) * w["p"]
    e = xp.exp(z - xp.relu(z))
    return Two(xp.sigmoid(z) * e + xp.log_sigmoid(state.c), xp.tanh(xp.maximum(z, state.c)) + xp.maximum(0.1, z))


TOYS = {
    "everything": toy(everything, Three, 3, {"U": 3, "V": 1}, ("p", "q")),
    "left_vector": toy(left_vector, vectors=("p", "q")),
    "vectors_alone": toy(vectors_alone, Three, vectors=("p", "q")),
    "rotate": toy(rotate, Three),
    "product_and_sum": toy(product_and_sum, Three, matrices={"U": 1, "V": 1}),
    "every_function": toy(every_function, vectors=("p",)),
    "concatenated": toy(concatenated, matrices={"U": 2}),
    "activations_from_the_second": toy(activations_from_the_second, gates=3, matrices={"U": 3}),
    "activations_overlap": toy(activations_overlap, gates=3, matrices={"U": 3}),
}
TOYS |= {
    step.__name__: toy(step, matrices={"U": 1, "V": 1}) for step in (product_of_product, dead_product, activation_twice)
}
TOYS |= {
    step.__name__: toy(step)
    for step in (
        *(delay, linear_delay, exchange, keep_one, input_as_state, same_twice, read_late, part_read_late, signs),
        *(activation_of_old_part_late, state_of_products, summand_read_late, constants),
    )
}
TOYS |= {
    step.__name__: toy(step, gates=2, matrices={"U": 2})
    for step in (state_of_parts, state_and_its_part, state_of_activations, state_of_crossed_activations)
}


def random_cell(seed: int) -> Cell:
    """Return a cell of random operations on everything made so far, its new state any of that, old state included."""
    fields = random.Random(seed).choice([Hidden, Two, Three])

    def step(xp, zx, state, dot, w):
        # Drawn anew at every call, so that the trace and each step of the equations make the same choices.
        rng = random.Random(seed)
        values = [(zx, 2 * UNITS), *((value, UNITS) for value in state)]
        for _ in range(rng.randint(3, 16)):
            value, width = rng.choice(values)
            kinds = ["activation"] * 2 + ["split"] * 2 + ["dot"] * 2 + ["arithmetic"] * 5
            match rng.choice([*kinds, "another function", "concatenate"]):
                case "activation":
                    values.append((getattr(xp, rng.choice(["sigmoid", "tanh"]))(value), width))
                case "another function":
                    values.append((getattr(xp, rng.choice(["relu", "standardize", "log_sigmoid"]))(value), width))
                case "concatenate":
                    second, other_width = rng.choice(values)
                    if width + other_width <= 2 * UNITS:
                        values.append((xp.concatenate([value, second], axis=-1), width + other_width))
                case "split" if width % 2 == 0 and rng.random() < 0.6:
                    values += [(part, width // 2) for part in xp.split(value, 2, axis=-1)]
                case "split" if width > 2:
                    cut = rng.randint(1, width - 1)
                    values += zip(xp.split(value, [cut], axis=-1), (cut, width - cut), strict=True)
                case "dot" if width < UNITS:
                    values.append((dot(value, f"from{width}"), UNITS))
                case "dot" if width == UNITS:
                    values.append((dot(value, "U"), 2 * UNITS))
                case _:
                    others = [other for other, other_width in values if other_width == width]
                    others += [0.5, 1, *(w.values() if width == UNITS else ())]
                    pair = [value, rng.choice(others)]
                    rng.shuffle(pair)
                    sign = rng.choice("+-*")
                    values.append((pair[0] + pair[1] if sign == "+" else pair[0] - pair[1], width))
                    if sign == "*":
                        values[-1] = (pair[0] * pair[1], width)
        if rng.random() < 0.7:
            # Where a state is made late, the operations before it read the old one.
            values.append((values[-1][0] * 0.5, values[-1][1]))
        candidates = [value for value, width in values if width == UNITS]
        return fields(*(rng.choice(candidates[-6:]) for _ in fields._fields))

    return toy(step, fields, 2, {"U": 2}, ("p",))
