"""Processors with narrower vectors than this one."""

import llvmlite.binding as llvm
import pytest

# The first words of the features that make vectors wider than this many float32 numbers.
WIDER = {4: ("avx", "fma", "f16c", "xop", "vaes", "vpclmul"), 8: ("avx512",), 16: ()}
NEEDED = {8: "avx2", 16: "avx512f"}


def restricted(width: int) -> str:
    """Return LLVM's names of this processor's features, without those for vectors of more than `width` float32 numbers.

    Skips the test if it lacks those for as many. ARM's vectors have four, which needs no restriction.
    """
    features = llvm.get_host_cpu_features()
    if width in NEEDED and not features.get(NEEDED[width]):
        pytest.skip(f"this processor has no {NEEDED[width]}")
    for name in features:
        features[name] = features[name] and not name.startswith(WIDER[width])
    return features.flatten()
