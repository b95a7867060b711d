"""Why errors leap after hatching: running statistics that lag behind the weights.

    python -m benchmarks.after_hatching --run=runs/digits \
        --out=benchmarks/results/after_hatching.json

Each member of a finished run is hatched from its stored MotherNet and trained for a few
epochs by the run's recipe, without augmentation. Every few steps its error on the test
images, by which nothing is chosen, is measured twice: with the running statistics of
batch normalisation, as a run does it, and with statistics that are estimated again.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import app, flags

from benchmarks.turns import write_results
from mothernets_jax.architectures import parse
from mothernets_jax.config.identity import of_this_version
from mothernets_jax.growth.hatching import hatch
from mothernets_jax.methods import read_settings
from mothernets_jax.models.apply import apply, apply_and_update
from mothernets_jax.runs.read_data import read_dataset
from mothernets_jax.runtime.devices import memory_bytes
from mothernets_jax.storage import checkpoints, files

_RUN = flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_STEPS = flags.DEFINE_integer("steps", 36, "Steps of training after hatching.")
_EVERY = flags.DEFINE_integer("every", 6, "Steps from one measurement to the next.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of hatching and of the batches.")
_SWEEPS = 40  # batches from which statistics are estimated again: 0.9^40 is 1.5%


def mothernet_of(results: dict, workdir: Path):
    """The first MotherNet of a run: architecture, variables, its members' ones."""
    cluster = results["plan"]["clusters"][0]
    folder = workdir / "stages" / f"mothernets-{cluster['name']}"
    states = checkpoints.read(folder, checkpoints.saved_shapes(folder))
    state = states[cluster["name"]]
    variables = {name: state[name] for name in ("params", "batch_stats")}
    members = {m["architecture"]: m["name"] for m in cluster["members"]}
    return parse(cluster["architecture"]), variables, members


def make_step(architecture, optimizer: optax.GradientTransformation):
    """A jitted training step: (variables, state, images, labels) -> the first two."""

    def step(variables, state, images, labels):
        def loss(params):
            own = {**variables, "params": params}
            logits, stats = apply_and_update(architecture, own, images)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean(), stats

        params = variables["params"]
        grads, stats = jax.grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        return {"params": params, "batch_stats": stats}, state

    return jax.jit(step)


def errors_after(architecture, variables, recipe, dataset) -> list[dict]:
    """Errors of a network every few steps, by both kinds of statistics."""

    def normal(images):
        return (jnp.asarray(images, jnp.float32) - dataset.mean) / dataset.std

    images, labels = normal(dataset.train_images), jnp.asarray(dataset.train_labels)
    judged = normal(dataset.test_images)
    size = recipe.batch_size
    warm = round(recipe.warmup_epochs * (len(labels) // size))
    rate = optax.linear_schedule(
        recipe.learning_rate / max(warm, 1), recipe.learning_rate, warm
    )
    optimizer = optax.chain(
        optax.add_decayed_weights(recipe.weight_decay), optax.sgd(rate, momentum=0.9)
    )
    step = make_step(architecture, optimizer)
    renew = jax.jit(lambda own, batch: apply_and_update(architecture, own, batch)[1])
    predict = jax.jit(lambda own: apply(architecture, own, judged).argmax(-1))

    def error(own):
        return float((np.asarray(predict(own)) != dataset.test_labels).mean())

    generator = np.random.default_rng(_SEED.value)
    state, found = optimizer.init(variables["params"]), []
    for number in range(_STEPS.value + 1):
        if number % _EVERY.value == 0:
            again = variables
            for _ in range(_SWEEPS):
                batch = images[generator.permutation(len(labels))[:size]]
                again = {**again, "batch_stats": renew(again, batch)}
            found.append(
                {"step": number, "running": error(variables), "again": error(again)}
            )
        batch = generator.permutation(len(labels))[:size]
        variables, state = step(variables, state, images[batch], labels[batch])
    return found


def main(_) -> None:
    """Trains each member of the first MotherNet a little, and writes its errors."""
    workdir = Path(_RUN.value)
    settings = read_settings(of_this_version(files.read_json(workdir / "config.json")))
    dataset = read_dataset(settings, memory_bytes())
    results = files.read_json(workdir / "results.json")
    mother, variables, members = mothernet_of(results, workdir)
    inputs = (dataset.train_images[:256] - dataset.mean) / dataset.std
    found = {}
    for notation, name in members.items():
        member = parse(notation)
        key = jax.random.key(_SEED.value)
        images = jnp.asarray(inputs, jnp.float32)
        hatched = hatch(variables, mother, member, key, images=images)
        found[name] = errors_after(member, hatched, settings.hatch_recipe, dataset)
        print(name, *found[name], sep="\n  ", flush=True)
    write_results(_OUT.value, {"errors": found})


if __name__ == "__main__":
    app.run(main)
