"""Forms in which an ensemble leaves this library."""
