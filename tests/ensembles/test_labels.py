"""Labels by number and by name, and what is none."""

import numpy as np
import pytest

from mothernets_jax.ensembles.labels import label_indices

CLASSES = ("ant", "bee", "cow")


@pytest.mark.parametrize(
    "labels",
    [
        [1, 0, 2],
        (1, 0, 2),
        np.array([1, 0, 2], np.uint8),
        np.array([1, 0, 2], object),
        ["bee", "ant", "cow"],
        np.array(["bee", "ant", "cow"]),
        np.array(["bee", "ant", "cow"], object),  # as of pandas
    ],
)
def test_the_same_labels_in_many_forms(labels):
    assert label_indices(labels, CLASSES).tolist() == [1, 0, 2]
    assert label_indices([], CLASSES).tolist() == []


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3], "labels are int64 from 0 to 3: expected whole numbers from 0 to 2"),
        ([-1, 0], "from -1 to 0"),
        ([0.0, 1.0], "labels are float64 .* expected whole numbers .* or class names"),
        ([True, False], "labels are bool"),
        ([b"ant"], r"labels are \|S3"),
        (np.array(["ant", 1], object), "labels are object"),
        (np.array([None, None], object), "labels are object"),
        (["ant", "dog", "dog"], "2 of 3 labels are 'dog', a name that no class has"),
        (np.eye(3), r"shape \(3, 3\): .* as of argmax\(axis=1\)"),
        (1, r"shape \(\): expected one label an example"),
        ([[1], [1, 2]], "expected one label an example"),
    ],
)
def test_what_is_no_label_is_told(labels, message):
    with pytest.raises(ValueError, match=message):
        label_indices(labels, CLASSES)


def test_a_name_of_two_classes_tells_none():
    names = ("crane", "ant", "crane")
    assert label_indices(["ant"], names).tolist() == [1]
    with pytest.raises(ValueError, match="'crane', a name that 2 classes have"):
        label_indices(["ant", "crane"], names)
