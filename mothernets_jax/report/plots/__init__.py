"""Plots of a report, one a file."""
