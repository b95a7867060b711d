"""Text and pytrees: messages, numbers in words, trees of arrays."""
