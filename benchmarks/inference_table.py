"""One ensemble, asked in several ways: error, NLL, FLOPs, time for 1 and 256 images.

    python -m benchmarks.inference_table --run=runs/photos [--images=FOLDER] \
        --out=benchmarks/results/FILE.json [--method=mothernets]

The run must have a calibration split, on which alone cascades are fitted; the table is
of its test split. FLOPs are those of an image, on average, in units of the members'
mean as well. Time is the median of turns, with the images and the answers on the host.
Members of one shape are there only where a run has replicas; so two more rows are of
five copies of the first member, one by one and stacked, for their time alone.
"""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from absl import app, flags, logging

from benchmarks import inference_paths
from benchmarks.turns import medians, take_turns, timed, write_results
from mothernets_jax.architectures.costs import forward_flops
from mothernets_jax.config.identity import of_this_version
from mothernets_jax.ensembles.cascade import Cascade, fit_cascade
from mothernets_jax.ensembles.combine import average
from mothernets_jax.ensembles.ensemble import Ensemble
from mothernets_jax.methods import read_settings
from mothernets_jax.metrics import classification
from mothernets_jax.metrics.calibration import rescale
from mothernets_jax.runs.read_data import read_dataset
from mothernets_jax.runtime.compilation import use_persistent_cache
from mothernets_jax.runtime.devices import memory_bytes
from mothernets_jax.storage import files

_RUN = flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
_METHOD = flags.DEFINE_string("method", None, "Of a run that has several.")
_IMAGES = flags.DEFINE_string("images", None, "Where the run's images are now.")
_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_LOSSES = flags.DEFINE_list(
    "losses", ["0", "0.001", "0.0025", "0.005", "0.01"], "Stated losses of accuracy."
)
_EXAMPLES = flags.DEFINE_integer("examples", None, "Of the test split; default: all.")
_REPEATS = flags.DEFINE_integer("repeats", 15, "Turns of each way.")
_COPIES = 5
_COUNTS = (1, 256)


def read_run():
    """The run's data set, and the ensemble of the method."""
    settings = of_this_version(files.read_json(Path(_RUN.value, "config.json")))
    if _IMAGES.value is not None:
        settings["data"] = {**settings["data"], "dir": _IMAGES.value}
    dataset = read_dataset(read_settings(settings), memory_bytes())
    if not len(dataset.calibration_labels):
        raise ValueError(f"{_RUN.value} has no calibration split to fit cascades on")
    return dataset, Ensemble.load(_RUN.value, _METHOD.value)


def costs_of(ensemble: Ensemble) -> np.ndarray:
    """FLOPs of one image's pass of each member."""
    classes = len(ensemble.class_names)
    return np.array(
        [
            forward_flops(member.architecture, ensemble.input_shape, classes)
            for member in ensemble.members.values()
        ]
    )


def copies_of_first(ensemble: Ensemble) -> Ensemble:
    """Members of one shape."""
    first = next(iter(ensemble.members.values()))
    return Ensemble(
        {f"copy{number}": first for number in range(_COPIES)},
        mean=ensemble.mean,
        std=ensemble.std,
        class_names=ensemble.class_names,
        input_shape=ensemble.input_shape,
        input_dtype=ensemble.input_dtype,
    )


def row(probabilities, labels, flops, one_member) -> dict:
    return {
        "error": classification.error(probabilities, labels),
        "nll": classification.nll(probabilities, labels),
        "flops": flops,
        "flops_in_members": flops / one_member,
    }


def predicted(path, images) -> np.ndarray:
    """Logits of all images by one way, in batches of the largest size timed."""
    size = _COUNTS[-1]
    parts = range(0, len(images), size)
    return np.concatenate([path(images[n : n + size]) for n in parts], axis=1)


def cascade_row(cascade: Cascade, images, labels, one_member: float) -> dict:
    found = cascade.predict(images)
    members = np.arange(1, len(cascade.order) + 1)
    return {
        **row(found.probabilities, labels, found.flops.mean(), one_member),
        "asked": [float((found.asked == count).mean()) for count in members],
        "thresholds": cascade.thresholds,
    }


def as_table(rows: dict) -> str:
    """The rows in Markdown."""
    lines = [
        "| how | error | NLL | MFLOPs | members | ms, 1 image | ms, 256 images |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, own in rows.items():
        figures = ["", "", "", ""]
        if "error" in own:
            figures = [f"{own['error']:.2%}", f"{own['nll']:.4f}"]
            figures += [f"{own['flops'] / 1e6:.1f}", f"{own['flops_in_members']:.2f}"]
        times = [f"{own['milliseconds'][str(count)]:.2f}" for count in _COUNTS]
        lines.append(f"| {' | '.join([name, *figures, *times])} |")
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    del argv
    logging.set_verbosity(logging.WARNING)
    use_persistent_cache()
    dataset, ensemble = read_run()
    images = dataset.test_images[: _EXAMPLES.value]
    labels = dataset.test_labels[: _EXAMPLES.value]
    costs = costs_of(ensemble)
    calibration = ensemble.member_logits(dataset.calibration_images)
    ensemble = ensemble.calibrate(calibration, dataset.calibration_labels)
    cheapest = [*ensemble.members][int(costs.argmin())]
    alone = Ensemble(
        {cheapest: ensemble.members[cheapest]},
        mean=ensemble.mean,
        std=ensemble.std,
        class_names=ensemble.class_names,
        input_shape=ensemble.input_shape,
        input_dtype=ensemble.input_dtype,
    )
    own = calibration[[int(costs.argmin())]]
    alone = alone.calibrate(own, dataset.calibration_labels)
    temperature = ensemble.temperatures["average"]
    ways = {
        f"the cheapest member, {cheapest}": (alone, alone.member_logits),
        "all members, one by one": (ensemble, ensemble.member_logits),
        "one by one, a program each": (ensemble, inference_paths.one_by_one(ensemble)),
        "members of one shape stacked": (ensemble, inference_paths.stacked(ensemble)),
        "normalisation folded": (ensemble, inference_paths.folded(ensemble)),
        "bfloat16": (ensemble, inference_paths.one_by_one(ensemble, jnp.bfloat16)),
    }
    rows, calls = {}, {}
    for name, (asked, path) in ways.items():
        probabilities = average(predicted(path, images))
        scale = asked.temperatures["average"] if asked is alone else temperature
        flops = float(costs_of(asked).sum())
        probabilities = rescale(probabilities, scale)
        rows[name] = row(probabilities, labels, flops, costs.mean())
        calls[name] = path
    for loss in map(float, _LOSSES.value):
        cascade = fit_cascade(
            ensemble, calibration, dataset.calibration_labels, accuracy_loss=loss
        )
        name = f"cascade, {100 * loss:g} points lost"
        rows[name] = cascade_row(cascade, images, labels, costs.mean())
        calls[name] = cascade.predict
    copies = copies_of_first(ensemble)
    for name, path in (
        (f"{_COPIES} of one shape, one by one", inference_paths.one_by_one(copies)),
        (f"{_COPIES} of one shape, stacked", inference_paths.stacked(copies)),
    ):
        rows[name], calls[name] = {}, path
    for count in _COUNTS:
        some = images[:count]
        contestants = {
            name: timed(lambda call=call, some=some: call(some))
            for name, call in calls.items()
        }
        seconds = take_turns(contestants, _REPEATS.value)
        for name, median in medians(seconds).items():
            rows[name].setdefault("milliseconds", {})[str(count)] = 1000 * median
    members = {name: str(own.architecture) for name, own in ensemble.members.items()}
    data = {"calibration": len(dataset.calibration_labels), "test": len(labels)}
    results = {"members": members, "examples": data, "rows": rows}
    write_results(_OUT.value, json.loads(json.dumps(results)))
    print(as_table(rows))


if __name__ == "__main__":
    app.run(main)
