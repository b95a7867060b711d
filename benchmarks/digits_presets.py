"""Every ensemble's digits preset, as it is: shares, errors and FLOPs side by side.

    python -m benchmarks.digits_presets --out=benchmarks/results/digits_presets.json

One fold and one seed, so that a test image is 0.28 points. A run that is done is not
repeated.
"""

import importlib
import json
import time
from pathlib import Path

from absl import app, flags, logging

from benchmarks.turns import write_results
from mothernets_jax import methods
from mothernets_jax.config.identity import digest
from mothernets_jax.config.validation import from_config
from mothernets_jax.runs import experiment
from mothernets_jax.runtime import compilation

_CONFIGS = flags.DEFINE_list(
    "configs",
    ["vgg", "vgg25", "resnet", "wide_resnet", "densenet", "mlp"],
    "The configs, without '_ensemble'.",
)
_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_SCRATCH = flags.DEFINE_string("scratch", "runs/digits", "Folder for the runs.")


def run(name: str) -> dict:
    """One preset's figures."""
    module = importlib.import_module(f"configs.{name}_ensemble")
    settings = from_config(module.get_config("digits"), tuple(methods.METHODS))
    started = time.perf_counter()
    results = experiment.train_and_evaluate(
        settings,
        name=name,
        workdir=Path(_SCRATCH.value, f"{name}-{digest(settings)}"),
    )
    clusters = results["plan"]["clusters"]
    shares = [m["inherited_share"] for c in clusters for m in c["members"]]
    return {
        "members": len(shares),
        "clusters": len(clusters),
        "inherited_shares": [min(shares), max(shares)],
        "seconds": time.perf_counter() - started,
        "methods": {
            method: {
                "error": figures["ensemble"]["average"]["error"],
                "mean_member_error": figures["mean_member_error"],
                "train_flops": figures["cost"]["train_flops"],
                "clocks": figures["clocks"],
            }
            for method, figures in results["methods"].items()
        },
    }


def main(argv: list[str]) -> None:
    del argv
    logging.set_verbosity(logging.WARNING)
    compilation.use_persistent_cache()
    runs = {}
    for name in _CONFIGS.value:
        runs[name] = run(name)
        print(json.dumps({name: runs[name]}), flush=True)
        write_results(_OUT.value, {"runs": runs})


if __name__ == "__main__":
    app.run(main)
