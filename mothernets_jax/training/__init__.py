"""One training step, of a member or of a group of members."""
