"""Logits over many images, in batches."""

from types import SimpleNamespace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mothernets_jax as mn
from mothernets_jax.architectures import parse
from mothernets_jax.ensembles import prediction
from mothernets_jax.models.apply import apply
from mothernets_jax.models.variables import init
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.task import Task
from mothernets_jax.training.augment import normalise

NETWORK, SHAPE = parse("vgg (3:4) | (3:4); batch_norm"), (4, 4, 1)
MEAN, STD = np.array([100.0], np.float32), np.array([50.0], np.float32)


@pytest.fixture(scope="module")
def variables():
    return init(NETWORK, jax.random.key(0), SHAPE, 3)


def test_batches_are_those_of_all_images_at_once(variables):
    """More batches than are ever under way, and a last one that is not full."""
    count = 2 * prediction._BATCHES_AHEAD + 5
    images = np.random.default_rng(0).integers(0, 256, (count, *SHAPE), np.uint8)
    expected = apply(NETWORK, variables, normalise(jnp.asarray(images), MEAN, STD))
    found = prediction.predict_logits(
        NETWORK, variables, images, MEAN, STD, batch_size=2, executables=Executables()
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


class Recorded(Executables):
    """Notes the sizes of the batches that programs are asked for."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def get(self, function, *args, **options):
        self.sizes.append(args[1].shape[0])
        return super().get(function, *args, **options)


def logits_of(network, variables, images, batch_size, executables, smallest_batch=1):
    return prediction.predict_logits(
        network,
        variables,
        images,
        MEAN,
        STD,
        batch_size=batch_size,
        smallest_batch=smallest_batch,
        executables=executables,
    )


def test_the_last_batch_is_filled_up_to_a_power_of_two(variables):
    images = np.random.default_rng(0).integers(0, 256, (20, *SHAPE), np.uint8)
    recorded = Recorded()
    expected = logits_of(NETWORK, variables, images, 20, recorded)
    for count, sizes in [
        (1, [1]),
        (2, [2]),
        (3, [4]),
        (5, [8]),
        (8, [8]),
        (9, [8, 1]),
        (20, [8, 4]),
    ]:
        recorded.sizes.clear()
        found = logits_of(NETWORK, variables, images[:count], 8, recorded)
        assert recorded.sizes == sizes
        np.testing.assert_allclose(found, expected[:count], rtol=1e-4, atol=1e-5)
    assert recorded.store.count("forward") == 1 + (1 + 3)  # 20; 1, 2, 4 and 8
    recorded.sizes.clear()
    logits_of(NETWORK, variables, images[:3], 8, recorded, smallest_batch=8)
    assert recorded.sizes == [8]


def test_an_ensemble_compiles_few_programs(variables):
    members = {name: mn.Member(NETWORK, variables) for name in "ab"}
    ensemble = mn.Ensemble(
        members, mean=MEAN, std=STD, class_names=tuple("abc"), input_shape=SHAPE
    )
    images = np.zeros((30, *SHAPE), np.uint8)
    programs = ensemble._executables.store
    for count in (5, 6, 7, 8):
        ensemble.predict(images[:count])
    assert programs.count("forward") == 1
    for count in range(31):
        ensemble.predict(images[:count], batch_size=8)
    assert programs.count("forward") == 4


FAMILIES = [
    "mlp 8 8; batch_norm",
    "vgg (3:4) | (3:8); dense 8; batch_norm",
    "resnet 4 (3:4) | 8 (3:8); unit basic; stem cifar 4; shortcuts identity projection",
    "densenet (3:4) | (3:4); stem 4; bottleneck 2; transitions 8",
]


@pytest.mark.parametrize("text", FAMILIES)
def test_sizes_of_batches_agree_to_rounding(text):
    network = parse(text)
    variables = init(network, jax.random.key(0), (8, 8, 1), 3)
    images = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1), np.uint8)
    found = [
        logits_of(network, variables, images, size, Executables()) for size in (32, 1)
    ]
    largest = np.abs(found[0]).max()
    assert largest > 0.1
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-5 * largest)


def test_validation_is_one_program(variables):
    dataset = SimpleNamespace(
        validation_images=np.zeros((21, *SHAPE), np.uint8),
        validation_labels=np.zeros(21, np.int32),
        mean=MEAN,
        std=STD,
    )
    recorded = Recorded()
    prediction.validation_scores(
        NETWORK,
        variables,
        dataset,  # type: ignore[arg-type]
        batch_size=16,
        executables=recorded,
    )
    assert recorded.sizes == [16]


class Labels(NamedTuple):
    """Of a data set, what decides how many images are evaluated at a time."""

    validation_labels: np.ndarray
    test_labels: np.ndarray


@pytest.mark.parametrize(
    ("validation", "test", "expected"),
    [
        (12, 10_000, 16),
        (144, 360, 256),
        (256, 12, 256),
        (5_000, 10_000, 512),
        (0, 360, 512),
        (0, 40, 64),
        (1, 1, 16),
        (0, 0, 16),
    ],
)
def test_a_run_evaluates_as_its_validation_split_needs(validation, test, expected):
    counts = Labels(np.zeros(validation), np.zeros(test))
    key, none = jax.random.key(0), (None, None, None)
    task = Task(counts, *none, key, ())  # type: ignore[arg-type]
    assert task.evaluation_batch == expected


def test_exact_products_where_they_would_be_rounded(variables, monkeypatch):
    """An accelerator would round them; for the CPU nothing more is compiled."""
    shapes = variables, jnp.zeros((2, *SHAPE), jnp.uint8), MEAN, STD
    programs = {}
    for backend in ("cpu", "tpu"):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        for exact in (False, True):
            programs[backend, exact] = prediction._forward(NETWORK, exact)
    monkeypatch.undo()
    assert programs["cpu", True] is programs["cpu", False] is programs["tpu", False]
    products = {
        exact: [
            line
            for line in programs["tpu", exact].lower(*shapes).as_text().splitlines()
            if "stablehlo.convolution" in line or "stablehlo.dot_general" in line
        ]
        for exact in (False, True)
    }
    assert len(products[True]) == len(products[False]) == 3  # two layers and the head
    assert all("HIGHEST" in line for line in products[True])
    assert not any("HIGHEST" in line for line in products[False])
