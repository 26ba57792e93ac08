"""A training run on disk: its folder, checkpoints, log and lock."""
