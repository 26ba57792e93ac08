"""Compiled cells on an NVIDIA GPU: one kernel for all time steps of a layer."""
