"""Training, the only part that imports keras. Import `charrnn.training.backends.start` before anything else of it."""
