"""Data sets by name, all as one `Dataset`.

A new kind of data is a new file with a function that returns `Arrays`, and an entry
in each of the two tables below.
"""

import difflib
from collections.abc import Callable

from mothernets_jax.data.dataset import Arrays, Dataset, split
from mothernets_jax.data.digits import load_digits_fold
from mothernets_jax.data.image_folder import load_image_folder

__all__ = ["Dataset", "load"]

_LOADERS: dict[str, Callable[..., Arrays]] = {
    "digits": load_digits_fold,
    "folder": load_image_folder,
}
# The options of `load` that each loader takes, as keyword arguments.
_OPTIONS: dict[str, tuple[str, ...]] = {
    "digits": ("fold",),
    "folder": ("directory", "image_size"),
}


def load(
    name: str,
    *,
    directory: str = "",
    fold: int = 0,
    train_examples: int | None = None,
    validation_fraction: float = 0.1,
    image_size: int | None = None,
) -> Dataset:
    """Loads a data set and keeps a part of its training set for validation.

    Args:
      name: "digits" or "folder".
      directory: of a folder: where its train/ and test/ are.
      fold: of the digits: which fifth is the test set, 0 to 4.
      train_examples: how many images train; None for all that are left.
      validation_fraction: of the training set, in [0, 1).
      image_size: of a folder: resize to this height and width, in pixels; None where
        the images have one size already.

    Raises:
      ValueError: an unknown name, an option that this data set does not have, or
        what the loader or `dataset.split` refuses.
      FileNotFoundError: the folder, or a part of it, is missing.
    """
    if name not in _LOADERS:
        close = difflib.get_close_matches(name, _LOADERS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"unknown data set {name!r}, expected one of {', '.join(_LOADERS)}.{hint}"
        )
    options = {"directory": directory, "fold": fold, "image_size": image_size}
    # Training on the digits because only the folder's path was given, and not its
    # kind, would be a silent and expensive mistake.
    unset = {"directory": "", "fold": 0, "image_size": None}
    for option, value in options.items():
        if value != unset[option] and option not in _OPTIONS[name]:
            takers = [other for other in _OPTIONS if option in _OPTIONS[other]]
            raise ValueError(
                f"{option}={value!r} is given, but the data set {name!r} has no such "
                f"option (only {', '.join(takers)}). Leave it out, or choose "
                f"--config.data.name={takers[0]}."
            )
    arrays = _LOADERS[name](**{key: options[key] for key in _OPTIONS[name]})
    return split(
        *arrays,
        validation_fraction=validation_fraction,
        train_examples=train_examples,
    )
