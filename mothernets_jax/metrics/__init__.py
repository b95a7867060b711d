"""Measures of predictions: errors, calibration, diversity, doubt."""
