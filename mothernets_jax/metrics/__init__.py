"""Numbers about predictions: errors, calibration, diversity, doubt."""
