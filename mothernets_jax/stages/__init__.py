"""A group of members trained from their start to the end of their recipe."""
