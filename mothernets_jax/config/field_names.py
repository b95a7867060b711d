"""Fields of the config in the place of arguments, in what the core refuses.

Each table is of a call that a run makes: from an argument to the field that it is taken
from. What is in no table keeps its name.
"""

import contextlib
from collections.abc import Iterator, Mapping

from mothernets_jax.utils.argument_errors import Argument, ArgumentError, Assignment

# Of `data.load`.
DATA = {
    "name": "data.name",
    "directory": "data.dir",
    "fold": "data.fold",
    "train_examples": "data.train_examples",
    "validation_fraction": "data.validation_fraction",
    "calibration_fraction": "data.calibration_fraction",
    "test_fraction": "data.test_fraction",
    "image_size": "data.image_size",
    "crop": "data.crop",
    "resize": "data.resize",
    "memory_bytes": "data.memory_share",
}
# Of `data.load_ood_images`, and of what it loads.
OOD_DATA = DATA | {"name": "data.ood_name", "directory": "data.ood_dir"}
# Of `stages.task.make_task`.
TASK = {
    "batch_size": "train.batch_size",
    "crop_padding": "data.crop_padding",
    "crop_border": "data.crop_border",
    "flip": "data.flip",
    "augment": "data.augment",
    "memory_bytes": "data.memory_share",
}
# Of `training.branching_step.first_of_branches`.
BRANCHES = {"sections": "treenets.shared_blocks"}
# Of `budget_limit.parse_limit`.
BUDGET = {"budget": "budget.limit"}
# Of `growth.clustering.cluster`.
CLUSTERS = {"num_clusters": "num_clusters", "min_shared": "min_shared"}


@contextlib.contextmanager
def named_as_fields(fields: Mapping[str, str]) -> Iterator[None]:
    """Lets refusals name fields of the config; a context, or a function's decorator.

    Args:
        fields: from an argument to a field, such as `train.batch_size`.

    Raises:
        ArgumentError: what was raised within, of the same type.

    >>> with named_as_fields({"fold": "data.fold"}):
    ...     raise ArgumentError(Argument("fold"), " is 7: expected 0 to 4")
    Traceback (most recent call last):
    mothernets_jax.utils.argument_errors.ArgumentError: config.data.fold is 7: ...
    """

    def field_of(argument: Argument) -> str:
        if argument not in fields:
            return argument
        # What is to be set is shown as it is typed.
        dashes = "--" if isinstance(argument, Assignment) else ""
        return f"{dashes}config.{fields[argument]}"

    try:
        yield
    except ArgumentError as error:
        renamed = error.renamed(field_of).with_traceback(error.__traceback__)
        raise renamed from error.__cause__
