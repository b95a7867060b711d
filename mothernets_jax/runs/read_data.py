"""The data set of a run, by its settings, without JAX."""

from mothernets_jax import data
from mothernets_jax.config.field_names import DATA, named_as_fields
from mothernets_jax.config.settings import Settings
from mothernets_jax.data import Dataset


@named_as_fields(DATA)
def read_dataset(settings: Settings, memory_bytes: int) -> Dataset:
    """Reads the data set that the settings name.

    Args:
        settings: settings, of which the section `data` is read.
        memory_bytes: memory of one device, of which the images may take a share.

    Raises:
        ValueError: data that cannot be read as the settings say.
        FileNotFoundError: there are no such data.
    """
    return data.load(
        settings.data.name,
        directory=settings.data.dir,
        fold=settings.data.fold,
        train_examples=settings.data.train_examples,
        validation_fraction=settings.data.validation_fraction,
        calibration_fraction=settings.data.calibration_fraction,
        test_fraction=settings.data.test_fraction,
        image_size=settings.data.image_size,
        crop=settings.data.crop,
        resize=settings.data.resize,
        memory_bytes=int(settings.data.memory_share * memory_bytes),
    )
