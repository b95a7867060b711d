"""The experiments of configs/ by name, wherever they are found."""

import pytest

from configs import pareto as as_file
from mothernets_jax import experiments
from mothernets_jax.config.identity import digest
from mothernets_jax.methods import read_settings


def test_the_experiments_are_the_configs():
    assert {"vgg_ensemble", "pareto"} <= set(experiments.names())
    for name in experiments.names():
        assert experiments.path_of(name).is_file()


def test_an_experiment_is_that_of_its_file():
    from mothernets_jax.experiments import pareto

    own, other = (read_settings(each.get_config()) for each in (pareto, as_file))
    assert digest(own) == digest(other)


def test_an_unknown_one_is_answered_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"did you mean vgg_ensemble\?.*pareto"):
        experiments.path_of("vgg_ensembl")
