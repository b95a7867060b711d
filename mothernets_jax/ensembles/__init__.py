"""Members together: prediction, combination, saving and loading."""
