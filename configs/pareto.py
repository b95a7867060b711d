"""Every method at one budget: the frontier of accuracy against training cost.

MotherNets (MLSys 2020) against full-data training, bagging, knowledge distillation,
TreeNets, Snapshot Ensembles, FGE, SWA, StarSSE and Prune and Tune, all on V5's
networks, data and augmentation.

Digits, one core, jax 0.12, one fold and one seed (a test image is 0.28 points), before
the last three were there: 2 minutes, 5 where nothing is compiled yet; Snapshot
Ensembles 0.28%, MotherNets 0.56%, bagging 0.83%, TreeNets and FGE 1.11%, full data
1.67%, distillation 6.94%, at 259 to 271 GFLOPs each.

python launch.py --config=configs/pareto.py
python launch.py --config=configs/pareto.py:folder_thin --config.data.dir=IMAGES
python launch.py --config=configs/pareto.py --config.budget.epochs=120 --plan
"""

from ml_collections import ConfigDict

from mothernets_jax.experiments import vgg_ensemble

METHODS = (
    "mothernets",
    "full_data",
    "bagging",
    "distillation",
    "treenets",
    "snapshot",
    "fge",
    "swa",
    "star",
    "prune_and_tune",
)
# Epochs of the network that Snapshot Ensembles train.
PRESETS = {"digits": 150.0, "folder_thin": 40.0, "folder": 200.0}


def get_config(preset: str = "digits") -> ConfigDict:
    """The settings of `vgg_ensemble`, with all methods and a budget.

    Args:
        preset: `digits`, `folder_thin` or `folder`, as for `vgg_ensemble`.
    """
    if preset not in PRESETS:
        raise ValueError(
            f"there is no preset {preset!r}: expected one of {', '.join(PRESETS)}"
        )
    config = vgg_ensemble.get_config(preset)
    config.update(
        {
            "methods": METHODS,
            "replicas": 1,
            "budget": {"epochs": PRESETS[preset]},
            # Hatched before the rate falls, which it does in each member by itself:
            # the best so far, see docs/measurements/choices.md.
            "mother": {"schedule": "constant"},
            "hatch": {"schedule": "linear", "warmup_epochs": 0.0},
            "data": {"calibration_fraction": 0.1},
        }
    )
    return config
