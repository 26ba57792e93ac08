"""The family of the GRU: gates, and an output that is the memory."""

from charrnn.cells.cell import Array, ArrayNamespace, Dot, Hidden, Vectors


def gru(xp: ArrayNamespace, zx: Array, state: Hidden, dot: Dot, w: Vectors) -> Hidden:
    """Cho et al. 2014, "Learning phrase representations", eq. 5-8: it resets h before the product. Blocks z, r, g.

    z, r = sigma(W x + U h + b); g = tanh(W x + V (r * h) + b); h' = z * h + (1 - z) * g.
    """
    units = state.h.shape[-1]
    zx_zr, zx_g = xp.split(zx, [2 * units], axis=-1)
    z, r = xp.split(xp.sigmoid(zx_zr + dot(state.h, "U")), 2, axis=-1)
    g = xp.tanh(zx_g + dot(r * state.h, "V"))
    return Hidden(z * state.h + (1 - z) * g)


def gru_reset_after(xp: ArrayNamespace, zx: Array, state: Hidden, dot: Dot, w: Vectors) -> Hidden:
    """The GRU of cuDNN, which resets U h after the product (Cho et al. 2014, version 1). Blocks z, r, g; a bias c.

    z, r = sigma(W x + U h + b); g = tanh(W x + r * (U h + c) + b); h' = z * h + (1 - z) * g.
    """
    units = state.h.shape[-1]
    zx_zr, zx_g = xp.split(zx, [2 * units], axis=-1)
    uh_zr, uh_g = xp.split(dot(state.h, "U"), [2 * units], axis=-1)
    z, r = xp.split(xp.sigmoid(zx_zr + uh_zr), 2, axis=-1)
    g = xp.tanh(zx_g + r * (uh_g + w["c"]))
    return Hidden(z * state.h + (1 - z) * g)


def mgu(xp: ArrayNamespace, zx: Array, state: Hidden, dot: Dot, w: Vectors) -> Hidden:
    """Zhou et al. 2016, "Minimal gated unit for recurrent neural networks": one gate for both. Blocks f, g.

    f = sigma(W x + U h + b); g = tanh(W x + V (f * h) + b); h' = (1 - f) * h + f * g.
    """
    zx_f, zx_g = xp.split(zx, 2, axis=-1)
    f = xp.sigmoid(zx_f + dot(state.h, "U"))
    g = xp.tanh(zx_g + dot(f * state.h, "V"))
    return Hidden((1 - f) * state.h + f * g)


def mut1(xp: ArrayNamespace, zx: Array, state: Hidden, dot: Dot, w: Vectors) -> Hidden:
    """Jozefowicz et al. 2015, "An empirical exploration of recurrent network architectures". Blocks z, r, g; a bias d.

    z = sigma(W x + b); r = sigma(W x + U h + b); g = tanh(V (r * h) + tanh(W x + b) + d); h' = z * g + (1 - z) * h.
    (The paper adds x itself. Here x is projected, as its width may differ from the number of units.)
    """
    zx_z, zx_r, zx_g = xp.split(zx, 3, axis=-1)
    z = xp.sigmoid(zx_z)
    r = xp.sigmoid(zx_r + dot(state.h, "U"))
    g = xp.tanh(dot(r * state.h, "V") + xp.tanh(zx_g) + w["d"])
    return Hidden(z * g + (1 - z) * state.h)


def mut2(xp: ArrayNamespace, zx: Array, state: Hidden, dot: Dot, w: Vectors) -> Hidden:
    """Jozefowicz et al. 2015, the second mutation. Blocks z, r, g.

    z = sigma(W x + R h + b); r = sigma(W x + U h + b); g = tanh(V (r * h) + W x + b); h' = z * g + (1 - z) * h.
    (In the paper r contains x itself. Here x is projected, as its width may differ from the number of units.)
    """
    zx_z, zx_r, zx_g = xp.split(zx, 3, axis=-1)
    z = xp.sigmoid(zx_z + dot(state.h, "R"))
    r = xp.sigmoid(zx_r + dot(state.h, "U"))
    g = xp.tanh(dot(r * state.h, "V") + zx_g)
    return Hidden(z * g + (1 - z) * state.h)


def mut3(xp: ArrayNamespace, zx: Array, state: Hidden, dot: Dot, w: Vectors) -> Hidden:
    """Jozefowicz et al. 2015, the third mutation. Blocks z, r, g.

    z = sigma(W x + R tanh(h) + b); r = sigma(W x + U h + b); g = tanh(V (r * h) + W x + b); h' = z * g + (1 - z) * h.
    """
    zx_z, zx_r, zx_g = xp.split(zx, 3, axis=-1)
    z = xp.sigmoid(zx_z + dot(xp.tanh(state.h), "R"))
    r = xp.sigmoid(zx_r + dot(state.h, "U"))
    g = xp.tanh(dot(r * state.h, "V") + zx_g)
    return Hidden(z * g + (1 - z) * state.h)


def mingru(xp: ArrayNamespace, zx: Array, state: Hidden, dot: Dot, w: Vectors) -> Hidden:
    """Feng et al. 2024, "Were RNNs all we needed?": only the average is recurrent. Blocks z, g.

    z = sigma(W x + b); g = W x + b; h' = (1 - z) * h + z * g.
    """
    z, g = xp.split(zx, 2, axis=-1)
    z = xp.sigmoid(z)
    return Hidden((1 - z) * state.h + z * g)
