"""Flax modules of architectures, their variables and their passes."""
