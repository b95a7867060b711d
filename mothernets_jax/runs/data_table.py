"""The data of a run, as its plan shows them."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from mothernets_jax.config.settings import DataSettings
from mothernets_jax.data import Dataset
from mothernets_jax.data.statistics import class_counts
from mothernets_jax.metrics.class_errors import distinct_names
from mothernets_jax.utils.messages import short_repr

_MOST_CLASSES = 5  # that are named


def print_data(console: Console, settings: DataSettings, dataset: Dataset) -> None:
    """Prints how many images there are, of which classes, and of what size.

    Args:
        console: the console to print on.
        settings: where the images come from.
        dataset: the images.
    """
    height, width, channels = dataset.input_shape
    table = Table(
        title=f"data: {settings.dir or settings.name}, {height}x{width} pixels, "
        f"{'grey' if channels == 1 else f'{channels} channels'}, "
        f"{dataset.num_classes} classes",
        title_justify="left",
        title_style="bold",
    )
    for heading in ("split", "images", "smallest class", "largest class"):
        table.add_column(heading, justify="left" if heading == "split" else "right")
    names = distinct_names(dataset.class_names)
    for split, counts in class_counts(dataset).items():
        if sum(counts):
            ends = (
                _class(names, counts, min(counts)),
                _class(names, counts, max(counts)),
            )
            table.add_row(split, f"{sum(counts):,}", *ends)
    console.print(table)
    shown = ", ".join(names[:_MOST_CLASSES])
    more = len(names) - _MOST_CLASSES
    rest = f" and {more:,} more" if more > 0 else ""
    console.print(f"classes: {shown}{rest}\n", highlight=False, markup=False)


def _class(names: Sequence[str], counts: Sequence[int], count: int) -> str:
    """A number of images, and a class that has so many."""
    return f"{count:,} ({short_repr(names[counts.index(count)])})"
