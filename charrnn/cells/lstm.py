"""The family of the LSTM: cells with a memory of their own."""

from charrnn.cells.cell import (
    Array,
    ArrayNamespace,
    Dot,
    HiddenAndMemory,
    HiddenMemoryAndGates,
    Matrix,
    Normalized,
    Vectors,
    add_bias,
)

# The mogrifier's rounds in which x and h gate each other, and the rank of its matrices as a fraction of the units.
ROUNDS, RANK = 4, 1 / 8
MOGRIFIER = {"U": Matrix("ifgo", rows=2)}
for _n in range(1, ROUNDS + 1):
    MOGRIFIER |= {f"P{_n}": Matrix("k", columns=RANK), f"Q{_n}": Matrix("x" if _n % 2 else "h", rows=RANK)}


def lstm(xp: ArrayNamespace, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Gers, Schmidhuber & Cummins 2000, "Learning to forget". Blocks i, f, g, o.

    i, f, o = sigma(W x + U h + b), g = tanh(W x + U h + b); c' = f * c + i * g; h' = o * tanh(c').
    """
    i, f, g, o = xp.split(zx + dot(state.h, "U"), 4, axis=-1)
    c = xp.sigmoid(f) * state.c + xp.sigmoid(i) * xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(c)
    return HiddenAndMemory(h, c)


def lstm_1997(xp: ArrayNamespace, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Hochreiter & Schmidhuber 1997, "Long short-term memory", trained by the full gradient. Blocks i, g, o.

    i, o = sigma(W x + U h + b), g = tanh(W x + U h + b); c' = c + i * g; h' = o * tanh(c'). (The paper's squashing
    functions are scaled: its g is between -2 and 2, and its output between -1 and 1.)
    """
    i, g, o = xp.split(zx + dot(state.h, "U"), 3, axis=-1)
    c = state.c + xp.sigmoid(i) * xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(c)
    return HiddenAndMemory(h, c)


def lstm_peephole(xp: ArrayNamespace, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Gers & Schmidhuber 2000, "Recurrent nets that time and count". Blocks i, f, g, o; peepholes p.

    i, f = sigma(W x + U h + p * c + b), g = tanh(W x + U h + b); c' = f * c + i * g;
    o = sigma(W x + U h + p * c' + b); h' = o * tanh(c').
    """
    i, f, g, o = xp.split(zx + dot(state.h, "U"), 4, axis=-1)
    i, f = xp.sigmoid(i + w["p_i"] * state.c), xp.sigmoid(f + w["p_f"] * state.c)
    c = f * state.c + i * xp.tanh(g)
    h = xp.sigmoid(o + w["p_o"] * c) * xp.tanh(c)
    return HiddenAndMemory(h, c)


def lstm_coupled(xp: ArrayNamespace, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Greff et al. 2015, "LSTM: a search space odyssey" (CIFG): the input gate is 1 - f. Blocks f, g, o.

    f, o = sigma(W x + U h + b), g = tanh(W x + U h + b); c' = f * c + (1 - f) * g; h' = o * tanh(c').
    """
    f, g, o = xp.split(zx + dot(state.h, "U"), 3, axis=-1)
    f = xp.sigmoid(f)
    c = f * state.c + (1 - f) * xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(c)
    return HiddenAndMemory(h, c)


def lstm_no_input_gate(xp: ArrayNamespace, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Greff et al. 2015 (NIG): i = 1. Blocks f, g, o.

    f, o = sigma(W x + U h + b), g = tanh(W x + U h + b); c' = f * c + g; h' = o * tanh(c').
    """
    f, g, o = xp.split(zx + dot(state.h, "U"), 3, axis=-1)
    c = xp.sigmoid(f) * state.c + xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(c)
    return HiddenAndMemory(h, c)


def lstm_no_output_gate(xp: ArrayNamespace, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Greff et al. 2015 (NOG): o = 1. Blocks i, f, g.

    i, f = sigma(W x + U h + b), g = tanh(W x + U h + b); c' = f * c + i * g; h' = tanh(c').
    """
    i, f, g = xp.split(zx + dot(state.h, "U"), 3, axis=-1)
    c = xp.sigmoid(f) * state.c + xp.sigmoid(i) * xp.tanh(g)
    return HiddenAndMemory(xp.tanh(c), c)


def lstm_no_input_activation(
    xp: ArrayNamespace, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors
) -> HiddenAndMemory:
    """Greff et al. 2015 (NIAF): g is linear. Blocks i, f, g, o.

    i, f, o = sigma(W x + U h + b), g = W x + U h + b; c' = f * c + i * g; h' = o * tanh(c').
    """
    i, f, g, o = xp.split(zx + dot(state.h, "U"), 4, axis=-1)
    c = xp.sigmoid(f) * state.c + xp.sigmoid(i) * g
    h = xp.sigmoid(o) * xp.tanh(c)
    return HiddenAndMemory(h, c)


def lstm_no_output_activation(
    xp: ArrayNamespace, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors
) -> HiddenAndMemory:
    """Greff et al. 2015 (NOAF): the output is the gated memory, without tanh. Blocks i, f, g, o.

    i, f, o = sigma(W x + U h + b), g = tanh(W x + U h + b); c' = f * c + i * g; h' = o * c'.
    """
    i, f, g, o = xp.split(zx + dot(state.h, "U"), 4, axis=-1)
    c = xp.sigmoid(f) * state.c + xp.sigmoid(i) * xp.tanh(g)
    return HiddenAndMemory(xp.sigmoid(o) * c, c)


def lstm_full_gates(
    xp: ArrayNamespace, zx: Array, state: HiddenMemoryAndGates, dot: Dot, w: Vectors
) -> HiddenMemoryAndGates:
    """Greff et al. 2015 (FGR), after Hochreiter & Schmidhuber 1997: gates read all gates. Blocks i, f, o, g.

    i, f, o = sigma(W x + U h + R [i, f, o] + b), g = tanh(W x + U h + b), with the gates of the previous step;
    c' = f * c + i * g; h' = o * tanh(c').
    """
    units = state.h.shape[-1]
    z, g = xp.split(zx + dot(state.h, "U"), [3 * units], axis=-1)
    z = z + dot(xp.concatenate([state.i, state.f, state.o], axis=-1), "R")
    i, f, o = xp.split(xp.sigmoid(z), 3, axis=-1)
    c = f * state.c + i * xp.tanh(g)
    return HiddenMemoryAndGates(o * xp.tanh(c), c, i, f, o)


def normalized_product(xp: ArrayNamespace, wx: Array, w: Vectors) -> Array:
    """Return LN(W x, a_x) + b."""
    return add_bias(xp, w["a_x"] * xp.standardize(wx), w)


def lstm_layernorm(xp: ArrayNamespace, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Ba, Kiros & Hinton 2016, "Layer normalization", eq. 20-22. Blocks i, f, g, o; gains a, a bias d of the memory.

    i, f, g, o = LN(W x, a_x) + LN(U h, a_h) + b, normalized over all blocks; c' = sigma(f) * c + sigma(i) * tanh(g);
    h' = sigma(o) * tanh(LN(c', a_c) + d), where LN(x, a) is a times x with mean 0 and variance 1. (The paper's biases
    inside the first two LN add up with b.)
    """
    i, f, g, o = xp.split(zx + w["a_h"] * xp.standardize(dot(state.h, "U")), 4, axis=-1)
    c = xp.sigmoid(f) * state.c + xp.sigmoid(i) * xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(w["a_c"] * xp.standardize(c) + w["d"])
    return HiddenAndMemory(h, c)


def lstm_depth_gated(xp: ArrayNamespace, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Yao et al. 2015, "Depth-gated recurrent neural networks". Blocks i, f, g, o, d; peepholes p, q.

    i, f = sigma(W x + U h + p * c + b), g = tanh(W x + U h + b); d = sigma(W x + p * c + q * l + b), where l is c' of
    the layer below; c' = f * c + i * g + d * l; o = sigma(W x + U h + p * c' + b); h' = o * tanh(c'). (The lowest layer
    is lstm-peephole.)
    """
    units = state.h.shape[-1]
    zx, d, lower = xp.split(zx, [4 * units, 5 * units], axis=-1)
    i, f, g, o = xp.split(zx + dot(state.h, "U"), 4, axis=-1)
    i, f = xp.sigmoid(i + w["p_i"] * state.c), xp.sigmoid(f + w["p_f"] * state.c)
    d = xp.sigmoid(d + w["p_d"] * state.c + w["q"] * lower)
    c = f * state.c + i * xp.tanh(g) + d * lower
    h = xp.sigmoid(o + w["p_o"] * c) * xp.tanh(c)
    return HiddenAndMemory(h, c)


def lstm_mogrifier(xp: ArrayNamespace, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Melis, Kocisky & Blunsom 2020, "Mogrifier LSTM": x and h gate each other before the LSTM reads them. Four rounds.

    x = 2 sigma(Q P h) * x in the rounds 1 and 3; h = 2 sigma(Q P x) * h in the rounds 2 and 4, each with a Q and P of
    low rank; i, f, o = sigma(U [x, h] + b), g = tanh(U [x, h] + b); c' = f * c + i * g; h' = o * tanh(c').
    """
    x, h = zx, state.h
    for n in range(1, ROUNDS + 1):
        if n % 2:
            x = 2 * xp.sigmoid(dot(dot(h, f"P{n}"), f"Q{n}")) * x
        else:
            h = 2 * xp.sigmoid(dot(dot(x, f"P{n}"), f"Q{n}")) * h
    i, f, g, o = xp.split(dot(xp.concatenate([x, h], axis=-1), "U") + w["b"], 4, axis=-1)
    c = xp.sigmoid(f) * state.c + xp.sigmoid(i) * xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(c)
    return HiddenAndMemory(h, c)


def slstm(xp: ArrayNamespace, zx: Array, state: Normalized, dot: Dot, w: Vectors) -> Normalized:
    """Beck et al. 2024, "xLSTM: extended long short-term memory" (sLSTM, one head). Blocks i, f, g, o.

    i = exp(W x + U h + b), f, o = sigma(W x + U h + b), g = tanh(W x + U h + b); c' = f * c + i * g; n' = f * n + i;
    h' = o * c' / n'. (So that no exp overflows, c and n are kept divided by exp(m), m' = max(log f + m, log i).)
    """
    i, f, g, o = xp.split(zx + dot(state.h, "U"), 4, axis=-1)
    f = xp.log_sigmoid(f) + state.m
    m = xp.maximum(f, i)
    i, f = xp.exp(i - m), xp.exp(f - m)
    c = f * state.c + i * xp.tanh(g)
    n = f * state.n + i
    h = xp.sigmoid(o) * c / n
    return Normalized(h, c, n, m)


def mlstm(xp: ArrayNamespace, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Krause et al. 2016, "Multiplicative LSTM for sequence modelling". Blocks m, i, f, g, o.

    m = (W x + b) * (V h); i, f, o = sigma(W x + U m + b), g = tanh(W x + U m + b); c' = f * c + i * g;
    h' = o * tanh(c'). (The paper has no bias in m; here it starts at zero.)
    """
    units = state.h.shape[-1]
    zx_m, zx_gates = xp.split(zx, [units], axis=-1)
    m = zx_m * dot(state.h, "V")
    i, f, g, o = xp.split(zx_gates + dot(m, "U"), 4, axis=-1)
    c = xp.sigmoid(f) * state.c + xp.sigmoid(i) * xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(c)
    return HiddenAndMemory(h, c)
