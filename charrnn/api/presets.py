"""The settings of other programs, by name, for `preset`; docs/presets.md lists their sources and what differs."""

from typing import Any

# None of these programs stops early because of the validation loss, and none uses dropout by default.
_THEIRS = {"dropout": 0.0, "clip_norm": None, "patience": None}

PRESETS: dict[str, dict[str, Any]] = {
    # karpathy/char-rnn. Torch's RMSProp adds its epsilon of 1e-8 to the root, Keras adds it squared, under the root.
    "char-rnn": {
        **_THEIRS,
        "cell": "lstm",
        "layers": 2,
        "units": 128,
        "embedding": None,
        "batch": 50,
        "seq": 50,
        "optimizer": "rmsprop",
        "lr": 2e-3,
        "rho": 0.95,
        "epsilon": 1e-16,
        "schedule": "exponential",
        "decay": 0.97,
        "decay_after": 10,
        "clip_value": 5.0,
        "sum_gradients": True,
        "epochs": 50.0,
        "eval_every": 1000,
        "split": "char-rnn",
    },
    # Karpathy's gist. It runs until it is stopped, so it has no number of epochs.
    "min-char-rnn": {
        **_THEIRS,
        "cell": "rnn",
        "layers": 1,
        "units": 100,
        "embedding": None,
        "batch": 1,
        "seq": 25,
        "optimizer": "adagrad",
        "lr": 0.1,
        "epsilon": 1e-8,
        "schedule": "constant",
        "clip_value": 5.0,
        "sum_gradients": True,
    },
    # jcjohnson/torch-rnn. It halves the rate every 5 epochs. Here the rate falls as fast, but after each epoch.
    "torch-rnn": {
        **_THEIRS,
        "cell": "lstm",
        "layers": 2,
        "units": 128,
        "embedding": 64,
        "batch": 50,
        "seq": 50,
        "optimizer": "adam",
        "lr": 2e-3,
        "epsilon": 1e-8,
        "schedule": "exponential",
        "decay": 0.8706,
        "decay_after": 2,
        "clip_value": 5.0,
        "epochs": 50.0,
        "eval_every": 1000,
        "test": 0.1,
    },
    # minimaxir/textgenrnn. Its rate falls linearly to zero; a cosine is the nearest schedule.
    "textgenrnn": {
        **_THEIRS,
        "cell": "lstm",
        "layers": 2,
        "units": 128,
        "embedding": 100,
        "batch": 128,
        "seq": 40,
        "optimizer": "adam",
        "lr": 4e-3,
        "schedule": "cosine",
        "warmup": 0,
        "clip_value": None,
        "epochs": 50.0,
    },
}
