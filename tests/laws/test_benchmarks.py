"""Every benchmark runs, at a tiny size, and writes what its readers look for."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A key that the benchmark's own figures stand under.
FIGURES = {
    "step_128": "ratios",
    "compiler_options": "rows",
    "convolution": "milliseconds",
    "strategy": "rows",
    "compile": "total_seconds",
    "hatching": "rows",
    "cost_curve": "rows",
    "run_split": "shares",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_benchmark_at_tiny_size(name, tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu_all", "--tiny", f"--only={name}"]
    subprocess.run([*command, f"--out={tmp_path}"], cwd=ROOT, check=True)
    results = json.loads((tmp_path / f"{name}.json").read_text())
    assert results[FIGURES[name]]
    assert results["provenance"]["command"].startswith("python -m benchmarks.")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "arguments", "figures"),
    [
        ("scaling_figure", "--members=5", "advantages"),
        (
            "simulated_schedules",
            "--graphs=full_data --epochs=60 --repeats=1 --seconds=0",
            "graphs",
        ),
    ],
)
def test_schedules_are_foretold_at_tiny_size(script, arguments, figures, tmp_path):
    out = tmp_path / "found.json"
    command = [sys.executable, "-m", f"benchmarks.{script}", f"--out={out}"]
    subprocess.run([*command, *arguments.split()], cwd=ROOT, check=True)
    assert json.loads(out.read_text())[figures]


TINY = (
    "replicas=1",
    "data.train_examples=200",
    "train.batch_size=50",
    "budget.epochs=12.0",
    "fge.cycle_epochs=2",
)


@pytest.mark.slow
def test_the_frontier_is_tuned_on_one_seed_and_run_on_others(tmp_path):
    plan = {
        "tuning": {"seed": 0},
        "repeats": [{"seed": 1}, {"seed": 2}],
        "trials": {
            "mothernets": [{"mother.budget_share": share} for share in (0.3, 0.6)],
            "snapshot": [{"snapshot.learning_rate": rate} for rate in (0.0, 0.1)],
            # One network, which has none to disagree with.
            "swa": [{"swa.learning_rate": rate} for rate in (0.01, 0.1)],
        },
        "runs": [
            {"name": "M", "method": "mothernets", "overrides": {"budget.epochs": 10.0}},
            {"name": "S", "method": "snapshot", "overrides": {}},
            {"name": "W", "method": "swa", "overrides": {}},
        ],
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    command = [sys.executable, "-m", "benchmarks.frontier"]
    command += ["--config=configs/mlp_ensemble.py", f"--plan={tmp_path}/plan.json"]
    command += [f"--config.{setting}" for setting in TINY]
    command += [f"--out={tmp_path}/out.json", f"--scratch={tmp_path}/runs"]
    command += [f"--plot={tmp_path}/plot.png"]
    subprocess.run(command, cwd=ROOT, check=True)
    results = json.loads((tmp_path / "out.json").read_text())
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    worst, best = results["trials"]["snapshot"]
    assert best["validation_errors"] < worst["validation_errors"]
    assert worst["overrides"] == {"snapshot.learning_rate": 0.0}  # learns nothing
    mothernets, snapshot, _ = results["runs"]
    assert mothernets["mean"]["train_flops"] < snapshot["mean"]["train_flops"]
    for row in results["runs"]:
        assert [repeat["seed"] for repeat in row["repeats"]] == [1, 2]
        errors = []
        for repeat in row["repeats"]:
            trials = results["trials"][row["method"]]
            best = min(trials, key=lambda trial: trial["validation_errors"])
            assert repeat["chosen"] == {**best["overrides"], **row["overrides"]}
            found = json.loads(
                (tmp_path / "runs" / repeat["folder"] / "results.json").read_text()
            )
            (entry,) = found["methods"].values()
            assert entry["ensemble"]["average"]["error"] == repeat["error"]
            errors.append(repeat["error"])
        assert row["mean"]["error"] == sum(errors) / 2

    # What is known is not trained again, wherever the runs' folders are.
    shutil.rmtree(tmp_path / "runs")
    (tmp_path / "out.json").unlink()
    subprocess.run([*command, "--only=snapshot"], cwd=ROOT, check=True)
    assert not (tmp_path / "out.json").exists()
    subprocess.run(command, cwd=ROOT, check=True)
    again = json.loads((tmp_path / "out.json").read_text())
    assert not (tmp_path / "runs").exists()
    assert again["runs"] == results["runs"]
    assert again["trials"] == results["trials"]

    # Without `tuning` every repeat is tuned on its own validation split.
    del plan["tuning"], plan["trials"]["mothernets"], plan["runs"][0]
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    subprocess.run(command, cwd=ROOT, check=True)
    nested = json.loads((tmp_path / "out.json").read_text())
    worst, best = nested["trials"]["snapshot"]
    (row,) = nested["runs"]
    for i, repeat in enumerate(row["repeats"]):
        assert best["validation_errors"][i] < worst["validation_errors"][i]
        assert repeat["validation_error"] == best["validation_errors"][i]
        assert repeat["chosen"] == best["overrides"]
