"""Running a trained model, on NumPy alone."""
