"""Runs on four forced devices, whose stages are placed by timing; prints JSON.

A program of its own, since the number of devices is fixed when JAX starts. A stage is
deleted after the run and trained again by the next. Forced devices share the processor:
steps are timed, then taken to be as fast as on devices that do not.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

FLAGS = os.environ.get("XLA_FLAGS", "")
os.environ["XLA_FLAGS"] = f"{FLAGS} --xla_force_host_platform_device_count=4"

import jax
import numpy as np
from tiny_methods import settings_of

from mothernets_jax.ensembles.ensemble import Ensemble
from mothernets_jax.ensembles.places import ENSEMBLES_FOLDER
from mothernets_jax.runs import timed_here
from mothernets_jax.runs.experiment import train_and_evaluate
from mothernets_jax.stages.context import PLACEMENT, STAGES


def main():
    workdir, timed = Path(sys.argv[1]), []
    time_stage = timed_here.time_stage

    def noted(stage, task, *args, **kwargs):
        timed.append((stage.name, len(task.devices)))
        timing = time_stage(stage, task, *args, **kwargs)
        return timing._replace(step_seconds=1.0 / len(task.devices))

    timed_here.time_stage = noted
    settings = settings_of(
        methods=("mothernets",),
        placement="timed",
        architectures={"A": "mlp 8", "B": "mlp 8 8"},
    )
    found = []
    for _ in range(2):
        timed.clear()
        train_and_evaluate(settings, name="placed", workdir=workdir)
        placement = json.loads((workdir / PLACEMENT).read_text())
        members = Ensemble.load(workdir).members
        digest = hashlib.sha256()
        for leaf in jax.tree.leaves({n: m.variables for n, m in members.items()}):
            digest.update(np.asarray(leaf).tobytes())
        found.append(
            {
                "placement": placement,
                "timed": list(timed),
                "digest": digest.hexdigest(),
            }
        )
        lost = next((workdir / STAGES).glob("*-B"))
        for folder in (lost, workdir / ENSEMBLES_FOLDER):
            shutil.rmtree(folder)
        (workdir / "results.json").unlink()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
