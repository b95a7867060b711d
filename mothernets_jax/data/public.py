"""`mn.Dataset`: images or features with labels, from wherever they are."""

from typing import Any, Self

from mothernets_jax.data import arrays, load
from mothernets_jax.data import dataset as splits
from mothernets_jax.data.arrays import TEST_FRACTION, Pair


class Dataset(splits.Dataset):
    """A classification data set, divided into splits, for `mothernets_jax.train`.

    Make one by `from_arrays`, `from_folder` or `from_tfds`. Its attributes are the
    splits (`train_images`, `train_labels`, and so on for `calibration`, `validation`
    and `test`), `class_names`, and `mean` and `std` of each channel over the training
    images, by which inputs are standardised.
    """

    __slots__ = ()

    @classmethod
    def from_arrays(
        cls,
        images: Any,
        labels: Any,
        *,
        test: Pair | None = None,
        validation: Pair | None = None,
        groups: Any = None,
        class_names: tuple[str, ...] | None = None,
        test_fraction: float = TEST_FRACTION,
        validation_fraction: float = 0.1,
        calibration_fraction: float = 0.0,
        train_examples: int | None = None,
    ) -> Self:
        """Makes a data set of arrays.

        Splits that are not given are drawn: always the same ones of the same data,
        stratified by class.

        Args:
            images: uint8 or floats [examples, height, width, channels], or features,
                numbers [examples, features]. Floats of any scale: inputs are
                standardised by the training split, and held as float32.
            labels: [examples], whole numbers or texts.
            test: images and labels of a test set; None to draw one.
            validation: images and labels of a validation split; None to draw one.
            groups: values [examples]; examples of equal values stay together in one
                split, so that the shares are kept only about.
            class_names: names of the classes where labels are their indices, or the
                order of the names; None where the different labels are the classes.
            test_fraction: share of the examples that test, in (0, 1), where no test set
                is given.
            validation_fraction: share of the others that validate, in [0, 1), where no
                validation split is given.
            calibration_fraction: share of those that calibrate, in [0, 1): they fit
                temperatures and weights of members, and train nothing.
            train_examples: number of examples to train on; None for all that are left.

        Raises:
            ValueError: arrays of another form, with values that are not finite, of
                different lengths, or too few for these shares.

        >>> import numpy as np
        >>> features = np.random.default_rng(0).normal(size=(100, 5))
        >>> data = Dataset.from_arrays(features, ["a", "b"] * 50)
        >>> data.input_shape, data.class_names, len(data.train_labels)
        ((1, 1, 5), ('a', 'b'), 72)
        """
        found = arrays.from_arrays(
            images,
            labels,
            test=test,
            validation=validation,
            groups=groups,
            class_names=class_names,
            test_fraction=test_fraction,
            validation_fraction=validation_fraction,
            calibration_fraction=calibration_fraction,
            train_examples=train_examples,
        )
        return cls(*found)

    @classmethod
    def from_folder(cls, directory: str, **options: Any) -> Self:
        """Reads a folder of images, such as `train/<class>/*` and `test/<class>/*`.

        Args:
            directory: path of the folder. Without test/, the test set is drawn; the
                class folders may also lie directly in it.
            **options: further arguments of `mothernets_jax.data.load`, such as
                `image_size`, `validation_fraction` and `test_fraction`.

        Raises:
            ValueError: folders or images that cannot be read as a data set.
            FileNotFoundError: there is no such folder.
        """
        return cls(*load("folder", directory=str(directory), **options))

    @classmethod
    def from_tfds(cls, name: str, **options: Any) -> Self:
        """Reads a data set of TensorFlow Datasets, without TensorFlow.

        Args:
            name: `cifar10`, `cifar100`, `svhn`, `mnist`, `fashion_mnist`, `imagenet`,
                or `tfds:NAME` for any other set of labelled images.
            **options: further arguments of `mothernets_jax.data.load`, such as
                `directory` and `validation_fraction`.

        Raises:
            ValueError: no such data set, or one that does not suit.
            FileNotFoundError: it is not there and cannot be fetched.
        """
        return cls(*load(name, **options))
