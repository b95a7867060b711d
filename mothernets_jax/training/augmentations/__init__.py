"""Changes of whole batches inside the training step, beyond crops and flips."""
