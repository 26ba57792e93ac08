"""The family of the LSTM: cells with a memory of their own."""

from typing import Any

from charrnn.cells.contract import Array, Dot, HiddenAndMemory, HiddenMemoryAndGates, Vectors


def lstm(xp: Any, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Gers, Schmidhuber & Cummins 2000, "Learning to forget". Blocks i, f, g, o.

    i, f, o = sigma(W x + U h + b), g = tanh(W x + U h + b); c' = f * c + i * g; h' = o * tanh(c').
    """
    i, f, g, o = xp.split(zx + dot(state.h, "U"), 4, axis=-1)
    c = xp.sigmoid(f) * state.c + xp.sigmoid(i) * xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(c)
    return HiddenAndMemory(h, c)


def lstm_1997(xp: Any, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Hochreiter & Schmidhuber 1997, "Long short-term memory", trained by the full gradient. Blocks i, g, o.

    i, o = sigma(W x + U h + b), g = tanh(W x + U h + b); c' = c + i * g; h' = o * tanh(c'). (The paper's squashing
    functions are scaled: g lies between -2 and 2, and what is put out between -1 and 1.)
    """
    i, g, o = xp.split(zx + dot(state.h, "U"), 3, axis=-1)
    c = state.c + xp.sigmoid(i) * xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(c)
    return HiddenAndMemory(h, c)


def lstm_peephole(xp: Any, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Gers & Schmidhuber 2000, "Recurrent nets that time and count". Blocks i, f, g, o; peepholes p.

    i, f = sigma(W x + U h + p * c + b), g = tanh(W x + U h + b); c' = f * c + i * g;
    o = sigma(W x + U h + p * c' + b); h' = o * tanh(c').
    """
    i, f, g, o = xp.split(zx + dot(state.h, "U"), 4, axis=-1)
    i, f = xp.sigmoid(i + w["p_i"] * state.c), xp.sigmoid(f + w["p_f"] * state.c)
    c = f * state.c + i * xp.tanh(g)
    h = xp.sigmoid(o + w["p_o"] * c) * xp.tanh(c)
    return HiddenAndMemory(h, c)


def lstm_coupled(xp: Any, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Greff et al. 2015, "LSTM: a search space odyssey" (CIFG): what is forgotten makes room. Blocks f, g, o.

    f, o = sigma(W x + U h + b), g = tanh(W x + U h + b); c' = f * c + (1 - f) * g; h' = o * tanh(c').
    """
    f, g, o = xp.split(zx + dot(state.h, "U"), 3, axis=-1)
    f = xp.sigmoid(f)
    c = f * state.c + (1 - f) * xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(c)
    return HiddenAndMemory(h, c)


def lstm_no_input_gate(xp: Any, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Greff et al. 2015 (NIG): i = 1. Blocks f, g, o.

    f, o = sigma(W x + U h + b), g = tanh(W x + U h + b); c' = f * c + g; h' = o * tanh(c').
    """
    f, g, o = xp.split(zx + dot(state.h, "U"), 3, axis=-1)
    c = xp.sigmoid(f) * state.c + xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(c)
    return HiddenAndMemory(h, c)


def lstm_no_output_gate(xp: Any, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Greff et al. 2015 (NOG): o = 1. Blocks i, f, g.

    i, f = sigma(W x + U h + b), g = tanh(W x + U h + b); c' = f * c + i * g; h' = tanh(c').
    """
    i, f, g = xp.split(zx + dot(state.h, "U"), 3, axis=-1)
    c = xp.sigmoid(f) * state.c + xp.sigmoid(i) * xp.tanh(g)
    return HiddenAndMemory(xp.tanh(c), c)


def lstm_no_input_activation(xp: Any, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Greff et al. 2015 (NIAF): g is linear. Blocks i, f, g, o.

    i, f, o = sigma(W x + U h + b), g = W x + U h + b; c' = f * c + i * g; h' = o * tanh(c').
    """
    i, f, g, o = xp.split(zx + dot(state.h, "U"), 4, axis=-1)
    c = xp.sigmoid(f) * state.c + xp.sigmoid(i) * g
    h = xp.sigmoid(o) * xp.tanh(c)
    return HiddenAndMemory(h, c)


def lstm_no_output_activation(xp: Any, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Greff et al. 2015 (NOAF): the memory is put out as it is. Blocks i, f, g, o.

    i, f, o = sigma(W x + U h + b), g = tanh(W x + U h + b); c' = f * c + i * g; h' = o * c'.
    """
    i, f, g, o = xp.split(zx + dot(state.h, "U"), 4, axis=-1)
    c = xp.sigmoid(f) * state.c + xp.sigmoid(i) * xp.tanh(g)
    return HiddenAndMemory(xp.sigmoid(o) * c, c)


def lstm_full_gates(xp: Any, zx: Array, state: HiddenMemoryAndGates, dot: Dot, w: Vectors) -> HiddenMemoryAndGates:
    """Greff et al. 2015 (FGR), after Hochreiter & Schmidhuber 1997: gates hear all gates. Blocks i, f, o, g.

    i, f, o = sigma(W x + U h + R_i i + R_f f + R_o o + b), g = tanh(W x + U h + b), with the gates of the step before;
    c' = f * c + i * g; h' = o * tanh(c').
    """
    units = state.h.shape[-1]
    z, g = xp.split(zx + dot(state.h, "U"), [3 * units], axis=-1)
    z = z + dot(state.i, "R_i") + dot(state.f, "R_f") + dot(state.o, "R_o")
    i, f, o = xp.split(xp.sigmoid(z), 3, axis=-1)
    c = f * state.c + i * xp.tanh(g)
    return HiddenMemoryAndGates(o * xp.tanh(c), c, i, f, o)


def layer_norm(xp: Any, x: Array, gain: Array) -> Array:
    """Ba et al. 2016, eq. 4, without its bias: x with mean 0 and variance 1 over the last axis, times the gain."""
    x = x - xp.mean(x, axis=-1, keepdims=True)
    return gain * x / xp.sqrt(xp.mean(x * x, axis=-1, keepdims=True) + 1e-5)


def lstm_layernorm(xp: Any, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Ba, Kiros & Hinton 2016, "Layer normalization", eq. 20-22. Blocks i, f, g, o; gains a, a bias d of the memory.

    i, f, g, o = LN(W x, a_x) + LN(U h, a_h) + b, normalized over all blocks; c' = sigma(f) * c + sigma(i) * tanh(g);
    h' = sigma(o) * tanh(LN(c', a_c) + d). (The paper's biases inside the first two LN add up with b.)
    """
    z = layer_norm(xp, zx, w["a_x"]) + layer_norm(xp, dot(state.h, "U"), w["a_h"]) + w["b"]
    i, f, g, o = xp.split(z, 4, axis=-1)
    c = xp.sigmoid(f) * state.c + xp.sigmoid(i) * xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(layer_norm(xp, c, w["a_c"]) + w["d"])
    return HiddenAndMemory(h, c)


def mlstm(xp: Any, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Krause et al. 2016, "Multiplicative LSTM for sequence modelling". Blocks m, i, f, g, o.

    m = (W x + b) * (V h); i, f, o = sigma(W x + U m + b), g = tanh(W x + U m + b); c' = f * c + i * g;
    h' = o * tanh(c'). (The paper has no bias in m: it begins at zero here.)
    """
    units = state.h.shape[-1]
    zx_m, zx_gates = xp.split(zx, [units], axis=-1)
    m = zx_m * dot(state.h, "V")
    i, f, g, o = xp.split(zx_gates + dot(m, "U"), 4, axis=-1)
    c = xp.sigmoid(f) * state.c + xp.sigmoid(i) * xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(c)
    return HiddenAndMemory(h, c)
