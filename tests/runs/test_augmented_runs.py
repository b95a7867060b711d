"""Runs with augmentation: the same bits again, and with no other function."""

import json

import pytest
from tiny_methods import settings_of

from mothernets_jax.config.identity import digest
from mothernets_jax.methods import read_settings
from mothernets_jax.runs import experiment
from mothernets_jax.runtime.compilation import ProgramStore

STORE = ProgramStore()  # one compilation of each program for all tests here
LEVEL = 1


def darker(key, images):
    return images - images // 8 * LEVEL


def brighter(key, images):
    return images + (255 - images) // 8


def settings(augment="mixup"):
    return settings_of(
        **{
            "methods": ("mothernets",),
            "architectures": {"A": "mlp 4", "B": "mlp 6"},
            "data.train_examples": 60,
            "data.augment": augment,
            "train.epochs": 1,
            "train.warmup_epochs": 0.0,
            "hatch.epochs": 1,
            "mother.average": "ema",
        }
    )


def run(workdir, augmentation=None, **changes):
    return experiment.train_and_evaluate(
        settings(**changes),
        name="augmented",
        workdir=workdir,
        store=STORE,
        augmentation=augmentation,
    )


def losses(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["train_loss"] for line in lines]


def test_a_run_goes_on_with_the_same_function_alone(tmp_path):
    one, again, plain = (tmp_path / name for name in ("one", "again", "plain"))
    found = run(one, darker)
    kept = json.loads((one / "config.json").read_text())
    assert kept["data"]["augment"].startswith("own:darker:")
    assert digest(read_settings(kept)) != digest(settings())
    # What it trains is its own, and the same bits again.
    run(again, darker)
    run(plain, augment="")
    assert losses(one) == losses(again)
    assert losses(one) != losses(plain)
    assert run(one, darker) == found
    with pytest.raises(
        ValueError, match="one holds another experiment: config.data.au"
    ):
        run(one, brighter)
    with pytest.raises(
        ValueError, match="one holds another experiment: config.data.au"
    ):
        run(one)
    with pytest.raises(ValueError, match="the function darker, which was not handed"):
        experiment.train_and_evaluate(read_settings(kept), name="x", workdir=one)


def test_a_function_that_returns_something_else_claims_no_folder(tmp_path):
    def floats(key, images):
        return images / 255

    message = "^config.data.augment: the function floats turns uint8"
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "run", floats)
    assert not (tmp_path / "run").exists()
