"""Training, the only part that imports keras. Import `charrnn.training.backends.start` before its other modules."""
