"""Files that a run writes and reads back: checkpoints, manifests, logs."""
