"""Networks grouped by their architecture: those of one share a shape."""

from collections.abc import Iterable, Mapping

from mothernets_jax.architectures.base import Architecture


def same_architecture(
    names: Iterable[str], architectures: Mapping[str, Architecture]
) -> dict[Architecture, tuple[str, ...]]:
    """Names grouped by architecture, in the order of the first of each.

    Args:
        names: names of networks.
        architectures: the networks' architectures by name, and perhaps others'.
    """
    groups: dict[Architecture, tuple[str, ...]] = {}
    for name in names:
        architecture = architectures[name]
        groups[architecture] = (*groups.get(architecture, ()), name)
    return groups
