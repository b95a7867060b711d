"""Errors class by class: by hand and by scikit-learn; and when they are spoken of."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import confusion_matrix, recall_score

from mothernets_jax.ensembles import summary
from mothernets_jax.metrics.class_balance import class_remarks, is_imbalanced
from mothernets_jax.metrics.class_errors import (
    balanced_error,
    class_errors,
    confusion,
    describe,
    majority_error,
)

# Class 2 has no examples. Class 0: one of four wrong; class 1: both; class 3: none.
LABELS = np.array([0, 0, 0, 0, 1, 1, 3])
PREDICTED = np.array([0, 0, 0, 1, 0, 2, 3])


def test_errors_by_hand():
    assert balanced_error(PREDICTED != LABELS, LABELS) == pytest.approx(1.25 / 3)
    entries = confusion(PREDICTED, LABELS)
    assert entries.tolist() == [
        [0, 0, 3],
        [0, 1, 1],
        [1, 0, 1],
        [1, 2, 1],
        [3, 3, 1],
    ]
    assert class_errors(entries, 4) == [0.25, 1.0, None, 0.0]
    scores = np.eye(4)[PREDICTED]
    found = describe(scores, LABELS, ("ant", "bee", "cow", "ant"))
    expected = {"ant (0)": 0.25, "bee": 1.0, "cow": None, "ant (3)": 0.0}
    assert found == {"class_errors": expected, "confusion": entries.tolist()}


def test_the_majority_is_that_of_the_training_images():
    # Class 1 trains most, and 2 of 8 test images are of it; of equals the first counts.
    assert majority_error([3, 9, 4], [5, 2, 1]) == 0.75
    assert majority_error([9, 9], [5, 15]) == 0.75
    assert majority_error([9, 1], [0, 4]) == 1.0


@pytest.mark.parametrize("classes", [2, 7])
def test_errors_are_those_of_scikit_learn(seed, classes):
    generator = np.random.default_rng(seed)
    rare = generator.dirichlet(np.full(classes, 0.5))
    train, labels = (generator.choice(classes, 300, p=rare) for _ in range(2))
    scores = generator.normal(size=(300, classes)).astype(np.float32)
    predicted = scores.argmax(axis=1)
    recall = recall_score(
        labels, predicted, labels=np.unique(labels), average="macro", zero_division=0
    )
    entries = confusion(predicted, labels)
    matrix = np.zeros((classes, classes), int)
    matrix[entries[:, 0], entries[:, 1]] = entries[:, 2]
    expected = confusion_matrix(labels, predicted, labels=range(classes))
    np.testing.assert_array_equal(matrix, expected)
    assert (entries[:, 2] > 0).all()
    assert balanced_error(predicted != labels, labels) == pytest.approx(1 - recall)
    majority = DummyClassifier(strategy="most_frequent").fit(train[:, None], train)
    counts = (np.bincount(part, minlength=classes) for part in (train, labels))
    found = majority_error(*(of_class.tolist() for of_class in counts))
    assert found == pytest.approx(1 - majority.score(labels[:, None], labels))


def test_every_combination_and_member_has_a_balanced_error():
    """The oracle misses only what both members do: one of the two images of class 1."""
    labels = np.array([0, 0, 0, 0, 1, 1])
    answers = np.array([[0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 0]])
    sure = np.array([6.0, 2.0])  # the first member outweighs the second
    logits = (sure[:, None, None] * np.eye(2)[answers]).astype(np.float32)
    weights = {"greedy": np.array([0.0, 1.0])}
    found = summary.combination_metrics(logits, labels, weights, {})
    errors = {name: figures["balanced_error"] for name, figures in found.items()}
    assert errors == {"average": 0.5, "vote": 0.5, "greedy": 0.375, "oracle": 0.25}
    assert found["average"]["error"] == pytest.approx(1 / 3)
    assert summary.member_metrics(logits[1], labels)["balanced_error"] == 0.375
    assert summary.member_metrics(logits[1], labels)["error"] == pytest.approx(1 / 3)


# What is said.


def counts_of(train, test, validation=()):
    return {"train": train, "validation": validation, "test": test}


def test_unequal_classes_are_named_with_numbers():
    counts = counts_of([4700, 250, 50], [940, 50, 10])
    (remark,) = class_remarks(("cat", "dog", "bee"), counts)
    assert remark == (
        "Classes: 'cat' has 94.0% of the 5,000 training images, 'bee' 1.0% (50); "
        "always answering 'cat' errs on 6.0% of the test set."
    )
    counts = counts_of([500, 500], [99_996, 4])
    remark, mixture = class_remarks(("cat", "bee"), counts)
    assert remark == (
        "Classes: 'cat' has 99.996% of the 100,000 test images, 'bee' 0.004% (4); "
        "always answering 'cat' errs on 0.004% of the test set."
    )
    assert mixture == (
        "The test images are mixed otherwise: 'cat' is 50.0% of the training and "
        "99.996% of the test images. Probabilities learned from the one mislead on the "
        "other."
    )


def test_chance_does_not_count_as_another_mixture():
    random, share = np.random.default_rng(0), np.array([0.7, 0.2, 0.1])
    for size in (10, 100, 1000):
        samples = random.multinomial(size, share, size=50)
        for test in samples:
            said = class_remarks("abc", counts_of([700, 200, 100], test.tolist()))
            assert not any("mixed otherwise" in s for s in said)
    # 0.7 + 0.2 + 0.1 against 0.4 + 0.3 + 0.3: 30% of the images would have to change.
    said = class_remarks("abc", counts_of([700, 200, 100], [400, 300, 300]))
    assert any("mixed otherwise" in s for s in said)


@pytest.mark.parametrize(
    ("train", "test", "unequal"),
    [
        ([100, 100], [20, 20], False),
        ([149, 100], [20, 20], False),
        ([150, 100], [20, 20], True),
        ([100, 100], [30, 20], True),
        ([5421, 6742], [892, 1135], False),  # MNIST's smallest and largest
        ([4659, 13861], [1595, 5099], True),  # SVHN's
        ([1, 3], [1, 1], False),  # a stratified split rounds
        ([1, 4], [1, 1], True),
        ([4, 4], [4, 0], True),
    ],
)
def test_equal_classes_are_not_spoken_of(train, test, unequal):
    counts = counts_of(train, test)
    assert is_imbalanced(counts) == unequal
    said = [s for s in class_remarks(("a", "b"), counts) if s.startswith("Classes")]
    assert len(said) == unequal


def test_results_of_earlier_versions_have_no_counts():
    assert not is_imbalanced({})
    assert class_remarks(("a", "b"), {}) == []


def test_classes_without_images_to_judge_by_are_named():
    names = [f"c{i}" for i in range(8)]
    counts = counts_of([9] * 8, [4] * 7 + [0], [1] + [0] * 7)
    _, of_test, of_validation = class_remarks(names, counts)
    assert of_test == (
        "No test image is of class 'c7': the test error says nothing of it."
    )
    assert of_validation == (
        "No validation image is of class 'c1', 'c2', 'c3', 'c4', 'c5' and 2 more: a "
        "validation error says nothing of them."
    )
    # Without a validation split there is nothing to say of it.
    assert class_remarks(names, counts_of([9] * 8, [2] * 8, [0] * 8)) == []
