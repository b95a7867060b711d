"""Settings of a run, from a config to frozen, checked values."""
