"""Names by which people call the splits of a data set."""

# Whatever their case.
SPELLINGS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


def split_of(name: str) -> str:
    """The split that a name stands for; empty for none.

    >>> split_of("Val"), split_of("holiday")
    ('validation', '')
    """
    return next((s for s, names in SPELLINGS.items() if name.lower() in names), "")
