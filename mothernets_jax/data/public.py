"""`mn.Dataset`: images or features with labels, from wherever they are."""

import os
from typing import Any, Self

from mothernets_jax.data import arrays, huggingface, image_table, load
from mothernets_jax.data import dataset as splits
from mothernets_jax.data.arrays import Pair
from mothernets_jax.data.drawn_test import TEST_FRACTION
from mothernets_jax.storage.paths import as_path


class Dataset(splits.Dataset):
    """A classification data set, divided into splits, for `mothernets_jax.train`.

    Make one by `from_arrays`, `from_folder`, `from_table`, `from_huggingface` or
    `from_tfds` (docs/data.md). Its attributes are the splits (`train_images`,
    `train_labels`, and so on for `calibration`, `validation` and `test`),
    `class_names`, and `mean` and `std` of each channel over the training images, by
    which inputs are standardised.
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
    def from_folder(cls, directory: str | os.PathLike[str], **options: Any) -> Self:
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
        folder = as_path(directory, "directory") if directory else ""
        return cls(*load("folder", directory=str(folder), **options))

    @classmethod
    def from_table(
        cls,
        path: str | os.PathLike[str],
        *,
        path_column: str = "path",
        label_column: str = "label",
        split_column: str | None = None,
        group_column: str | None = None,
        root: str | os.PathLike[str] | None = None,
        class_names: tuple[str, ...] | None = None,
        image_size: int | None = None,
        crop: str = "shift",
        resize: str = "crop",
        test_fraction: float = TEST_FRACTION,
        validation_fraction: float = 0.1,
        calibration_fraction: float = 0.0,
        train_examples: int | None = None,
        memory_bytes: int | None = None,
    ) -> Self:
        """Reads the images whose files and labels a table lists.

        Files are decoded, turned and resized as those of folders are. The table is a
        CSV in UTF-8 whose first line has the names of the columns, divided by commas,
        semicolons or tabs.

        Args:
            path: path of the table.
            path_column: name of the column of image files, whose paths start from the
                table's folder, or from `root`.
            label_column: name of the column of labels.
            split_column: name of a column that says which split an image belongs to:
                train, val or test (valid, validation, training and testing, too, in any
                case). Without val the validation split is drawn from train, without
                test val is the test set. None to draw all splits.
            group_column: name of a column; images with equal values in it stay together
                in one split.
            root: folder that the paths start from; None for that of the table.
            class_names: names of the classes where labels are their indices, or the
                order of the names; None where the different labels are the classes.
            image_size: height and width, in pixels, to resize to; None where all images
                have one size.
            crop: `shift`, or `resized` for random parts of the files in training.
            resize: `crop`, `pad` or `stretch`, for images that are not square.
            test_fraction: share of the images that test, in (0, 1), where none are
                given.
            validation_fraction: share of the others that validate, in [0, 1), where
                none are given.
            calibration_fraction: share of those that calibrate, in [0, 1).
            train_examples: number of images to train on; None for all that are left.
            memory_bytes: number of bytes; training images that take more when decoded
                stay in their files and are read again for every epoch. None to decode
                all.

        Raises:
            ValueError: a table that cannot be read, unknown columns or splits, values
                or files that are missing, images listed twice, a group in two splits,
                or images that cannot be read.
            FileNotFoundError: there is no such table.
        """
        found = image_table.from_table(
            path,
            path_column=path_column,
            label_column=label_column,
            split_column=split_column,
            group_column=group_column,
            root=root,
            class_names=class_names,
            image_size=image_size,
            crop=crop,
            resize=resize,
            test_fraction=test_fraction,
            validation_fraction=validation_fraction,
            calibration_fraction=calibration_fraction,
            train_examples=train_examples,
            memory_bytes=memory_bytes,
        )
        return cls(*found)

    @classmethod
    def from_huggingface(
        cls,
        dataset: Any,
        *,
        image_column: str | None = None,
        label_column: str | None = None,
        group_column: str | None = None,
        class_names: tuple[str, ...] | None = None,
        image_size: int | None = None,
        crop: str = "shift",
        resize: str = "crop",
        test_fraction: float = TEST_FRACTION,
        validation_fraction: float = 0.1,
        calibration_fraction: float = 0.0,
        train_examples: int | None = None,
        memory_bytes: int | None = None,
    ) -> Self:
        """Reads a data set of the Hugging Face library `datasets`, where it is.

        Images are decoded as files of folders are, not by that library. Its formats,
        such as that of `with_format("torch")`, are not applied.

        Args:
            dataset: a `datasets.Dataset`, whose splits are drawn, or a `DatasetDict`
                with the split train and perhaps validation and test (val, valid,
                training and testing, too), divided as by `from_table`.
            image_column: name of the column of images; None for the only one.
            label_column: name of the column of labels; None for the only ClassLabel,
                or else the one called label.
            group_column: name of a column; images with equal values in it stay together
                in one split.
            class_names: names of the classes, in the place of a ClassLabel's.
            image_size: height and width, in pixels, to resize to; None where all images
                have one size.
            crop: `shift`, or `resized` for random parts of the files in training.
            resize: `crop`, `pad` or `stretch`, for images that are not square.
            test_fraction: share of the images that test, in (0, 1), where none are
                given.
            validation_fraction: share of the others that validate, in [0, 1), where
                none are given.
            calibration_fraction: share of those that calibrate, in [0, 1).
            train_examples: number of images to train on; None for all that are left.
            memory_bytes: number of bytes; training images that take more when decoded
                are read again for every epoch. None to decode all.

        Raises:
            ValueError: data of another kind (an IterableDataset, say), columns that are
                missing or of other types, missing values, a group in two splits, or
                images that cannot be read.
        """
        found = huggingface.from_huggingface(
            dataset,
            image_column=image_column,
            label_column=label_column,
            group_column=group_column,
            class_names=class_names,
            image_size=image_size,
            crop=crop,
            resize=resize,
            test_fraction=test_fraction,
            validation_fraction=validation_fraction,
            calibration_fraction=calibration_fraction,
            train_examples=train_examples,
            memory_bytes=memory_bytes,
        )
        return cls(*found)

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
