"""Numbers in words: percentages, decimals, quantities with a prefix."""


def percent(fraction: float | None, decimals: int = 2) -> str:
    """A fraction as a percentage, `2.13%` for 0.0213; a dash for None."""
    return "–" if fraction is None else f"{100 * fraction:.{decimals}f}%"


def decimals(number: float | None, places: int = 3) -> str:
    """A number with `places` decimals, `0.391` for 0.39144; a dash for None."""
    return "–" if number is None else f"{number:.{places}f}"


def quantity(number: float) -> str:
    """Three digits and a prefix from k (10³) to E (10¹⁸), `5.28 M` for 5281234."""
    number = float(f"{number:.3g}")
    for prefix, size in zip("EPTGMk", (1e18, 1e15, 1e12, 1e9, 1e6, 1e3), strict=True):
        if number >= size:
            return f"{number / size:.3g} {prefix}"
    return f"{number:.3g}"
