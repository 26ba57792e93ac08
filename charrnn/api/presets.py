"""The settings of other programs, by the program's name, for `preset`: docs/presets.md tells what differs."""

from typing import Any

# karpathy/char-rnn's own settings. Torch's RMSProp adds its epsilon of 1e-8 to the root, Keras squared, under it.
PRESETS: dict[str, dict[str, Any]] = {
    "char-rnn": {
        "cell": "lstm",
        "layers": 2,
        "units": 128,
        "embedding": None,
        "batch": 50,
        "seq": 50,
        "dropout": 0.0,
        "optimizer": "rmsprop",
        "lr": 2e-3,
        "rho": 0.95,
        "epsilon": 1e-16,
        "schedule": "exponential",
        "decay": 0.97,
        "decay_after": 10,
        "clip_norm": None,
        "clip_value": 5.0,
        "sum_gradients": True,
        "epochs": 50.0,
        "patience": None,
        "eval_every": 1000,
        "split": "char-rnn",
    }
}
