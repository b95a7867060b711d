"""Ensembles as files that programs without this package read."""
