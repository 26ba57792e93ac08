"""Training, the only part that imports keras. Import `charrnn.training.backend` before anything else of it."""
