"""The experiments of configs/ by name: the same files in a checkout and from a wheel.

A wheel has them in the folder `configs` beside this file, a checkout at its top. Each
is a module of this package, so that one can begin with another:
`from mothernets_jax.experiments import vgg_ensemble`.
"""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mothernets_jax.utils.messages import short_repr

_HERE = Path(__file__).parent
_PLACES = _HERE / "configs", _HERE.parents[1] / "configs"
FOLDER = next((place for place in _PLACES if place.is_dir()), _PLACES[0])
__path__ = [str(FOLDER)]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


def names() -> list[str]:
    """Names of the experiments, sorted."""
    return sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


def path_of(name: str) -> Path:
    """The file of an experiment.

    Raises:
        ValueError: there is no such experiment; names those that there are.
    """
    known = names()
    if name not in known:
        close = difflib.get_close_matches(name[:100], known, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(
            f"there is no experiment {short_repr(name)}{hint}: expected one of "
            f"{', '.join(known)}, or --config=FILE for a file of your own"
        )
    return FOLDER / f"{name}.py"
