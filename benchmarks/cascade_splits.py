"""How a cascade's loss and cost vary with the images that it is fitted on.

    python -m benchmarks.cascade_splits --run=runs/photos [--images=FOLDER] \
        --out=benchmarks/results/FILE.json [--method=mothernets]

The run's calibration, validation and test images, none of which trained a member, are
divided at random, --splits times: as many as its calibration split fit the cascade, the
others judge it. Losses are in points of accuracy, against the whole ensemble; costs in
members of the mean FLOPs.
"""

import numpy as np
from absl import app, flags, logging

from benchmarks.inference_table import costs_of, read_run
from benchmarks.turns import write_results
from mothernets_jax.ensembles.cascade import Cascade, fit_cascade
from mothernets_jax.ensembles.combine import average
from mothernets_jax.metrics.calibration import rescale
from mothernets_jax.runtime.compilation import use_persistent_cache

_SPLITS = flags.DEFINE_integer("splits", 16, "Number of random divisions.")


def judged(cascade: Cascade, logits: np.ndarray, labels: np.ndarray) -> tuple:
    """Points of accuracy that are lost, and mean FLOPs, of images by their logits."""
    names = [*cascade.ensemble.members]
    ordered = logits[[names.index(name) for name in cascade.order]]
    waiting = np.arange(len(labels))
    right, spent = np.zeros(len(labels), bool), np.zeros(len(labels))
    for place, temperature in enumerate(cascade.temperatures):
        answers = rescale(average(ordered[: place + 1, waiting]), temperature)
        right[waiting] = answers.argmax(axis=1) == labels[waiting]
        spent[waiting] += cascade.flops[place]
        if place < len(cascade.thresholds):
            second, first = np.partition(answers, -2, axis=1)[:, -2:].T
            waiting = waiting[first - second < cascade.thresholds[place]]
    whole = (average(logits).argmax(axis=1) == labels).mean()
    return 100 * (whole - right.mean()), spent.mean()


def main(argv: list[str]) -> None:
    del argv
    logging.set_verbosity(logging.WARNING)
    use_persistent_cache()
    dataset, ensemble = read_run()
    splits = [
        (dataset.calibration_images, dataset.calibration_labels),
        (dataset.validation_images, dataset.validation_labels),
        (dataset.test_images, dataset.test_labels),
    ]
    logits = np.concatenate([ensemble.member_logits(own) for own, _ in splits], axis=1)
    labels = np.concatenate([own for _, own in splits])
    one_member, count = costs_of(ensemble).mean(), len(dataset.calibration_labels)
    rows = []
    for loss in map(float, flags.FLAGS.losses):
        found = []
        for seed in range(_SPLITS.value):
            order = np.random.default_rng(seed).permutation(len(labels))
            fit, judge = order[:count], order[count:]
            cascade = fit_cascade(
                ensemble, logits[:, fit], labels[fit], accuracy_loss=loss
            )
            lost, spent = judged(cascade, logits[:, judge], labels[judge])
            found.append((lost, spent / one_member))
        (lost, cost), (lost_by, cost_by) = np.mean(found, axis=0), np.std(found, axis=0)
        row = {"stated": 100 * loss, "lost": lost, "lost_by": lost_by}
        rows.append(row | {"members": cost, "members_by": cost_by})
        print(
            f"stated {100 * loss:g} points: lost {lost:.2f} +- {lost_by:.2f}, "
            f"{cost:.2f} +- {cost_by:.2f} members"
        )
    write_results(flags.FLAGS.out, {"fitted_on": count, "rows": rows})


if __name__ == "__main__":
    app.run(main)
