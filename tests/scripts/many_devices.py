"""Trains groups on one device and divided among eight; prints what it saw as JSON.

A program of its own, since the number of devices is fixed when JAX starts.
"""

import io
import json
import os
import re
import sys

FLAGS = os.environ.get("XLA_FLAGS", "")
if "device_count" not in FLAGS:  # of the program that imports this
    os.environ["XLA_FLAGS"] = f"{FLAGS} --xla_force_host_platform_device_count=8"

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from mothernets_jax.architectures import vgg
from mothernets_jax.config.settings import Recipe
from mothernets_jax.data.dataset import split
from mothernets_jax.data.decoding import Encoded, EncodedImages
from mothernets_jax.methods.distillation import DistillationLoss
from mothernets_jax.models.variables import init
from mothernets_jax.runtime.compilation import Executables, ProgramStore
from mothernets_jax.stages.stage import Stage, Start
from mothernets_jax.stages.task import make_task, step_spec
from mothernets_jax.stages.trainer import GroupTrainer
from mothernets_jax.training.augmentations.transforms import make_transforms
from mothernets_jax.training.branching_step import SharedTrunk, first_of_branches
from mothernets_jax.training.epoch_inputs import (
    MemberKeys,
    MemberRates,
    make_epoch_inputs,
)
from mothernets_jax.training.group_step import (
    STRATEGIES,
    make_steps,
    new_group,
)
from mothernets_jax.training.member_step import new_state
from mothernets_jax.training.optim import SGD
from mothernets_jax.training.sharding import fetch, place

NETWORK = vgg("(3:4)")
BRANCHING = vgg("(3:4) | (1:6)")  # from a trunk of one block
SIDE, CLASSES, BATCH = 6, 4, 16
RECIPE = Recipe(
    epochs=2,
    batch_size=BATCH,
    learning_rate=0.05,
    weight_decay=1e-4,
    label_smoothing=0.1,
    schedule="cosine",
    warmup_epochs=0.5,
    stop="epochs",
    patience_epochs=1,
)


def make_problem(flip="random", crop_padding=1):
    """A task on random images."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (90, SIDE, SIDE, 3), np.uint8)
    labels = rng.integers(0, CLASSES, 90).astype(np.int32)
    names = tuple("abcd")
    dataset = split(images, labels, images[:8], labels[:8], names)
    return make_task(
        dataset,
        crop_padding=crop_padding,
        crop_border="black",
        flip=flip,
        seed=0,
        batch_size=BATCH,
    )


def with_transforms(task):
    """The same task with augmentations that draw for a whole batch, and mix it."""

    def darker(key, images):
        factors = jax.random.uniform(key, (len(images), 1, 1, 1))
        return (images * factors).astype(images.dtype)

    own = f"own:darker:{'0' * 16} + randaugment(1, 5) + mixup(0.5)"
    transforms = make_transforms(own, darker)
    return task._replace(augmentation=task.augmentation._replace(transforms=transforms))


def streamed(task):
    """The same task with its images in files, and the numbers of those opened."""
    images, opened = task.dataset.train_images, []

    def png(number):
        opened.append(int(number))
        file = io.BytesIO()
        Image.fromarray(images[number]).save(file, "png")
        return Encoded(f"image {number}", file)

    encoded = EncodedImages(
        lambda numbers: [png(number) for number in numbers],
        np.arange(len(images)),
        images.shape[1:],
    )
    dataset = task.dataset._replace(train_images=encoded)
    return task._replace(dataset=dataset, training_data=None), opened


def variables_of(network, seed):
    return init(network, jax.random.key(seed), (SIDE, SIDE, 3), CLASSES)


def starts_of(members, network=NETWORK):
    return [new_state(variables_of(network, seed), SGD()) for seed in range(members)]


def train(task, members, strategy, devices, network=NETWORK, **of_stage):
    """States by member after two epochs of a stage."""
    names = tuple(f"member{i}" for i in range(members))
    starts = starts_of(members, network)
    of_spec = {k: of_stage.pop(k) for k in ("loss", "coupling") if k in of_stage}
    spec = step_spec(task, network, recipe=Recipe(), members=members, **of_spec)
    stage = Stage("m", "s", names, RECIPE, spec, lambda *_: Start({}, {}))
    stage = stage._replace(**of_stage)
    if spec.coupling.tied:
        trunk = {"block1_conv1": starts[0].params["block1_conv1"]}
        starts = [s._replace(params=s.params | trunk) for s in starts]
    teachers = [variables_of(own, 9) for own in spec.loss.references]
    placed = task._replace(devices=tuple(devices))
    executables = Executables(ProgramStore())
    trainer = GroupTrainer(stage, placed, starts, strategy, executables, teachers)
    for epoch in range(RECIPE.epochs):
        trainer.run_epoch(epoch, [True] * members)
    return jax.device_get((trainer.states(), [tuple(m) for m in trainer.metrics()]))


def largest_difference(one, other):
    def of_leaf(a, b):
        return float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-2))

    return max(jax.tree.leaves(jax.tree.map(of_leaf, one, other)))


def describe_program(task, members, strategy):
    """The collectives in the compiled program, and what a device holds."""
    placement = place(jax.devices(), members, BATCH)
    state = new_group(starts_of(members))
    state = jax.device_put(state, placement.by_member)
    keys = jax.random.split(jax.random.key(1), members)
    examples = len(task.dataset.train_labels)
    zeros, active = jnp.zeros(members), jnp.ones(members, bool)
    rates = jnp.full((members, examples // BATCH), 0.1)
    rates = MemberRates(rates, zeros, zeros, active)
    draw = make_epoch_inputs(examples, BATCH)
    inputs = draw(MemberKeys(keys, keys, keys), np.int32(0), rates)
    inputs = jax.device_put(inputs, placement.by_member)
    data = jax.device_put(task.training_data, placement.everywhere)
    spec = step_spec(task, NETWORK, recipe=Recipe())
    function = make_steps(spec, strategy, placement.mesh)
    program = function.lower(state, data, inputs, np.int32(0), np.int32(1)).compile()
    text = program.as_text()
    state = program(state, data, inputs, np.int32(0), np.int32(1))
    held = {
        len(shard.data)
        for leaf in jax.tree.leaves(state)
        for shard in leaf.addressable_shards
    }
    devices = {len(leaf.sharding.device_set) for leaf in jax.tree.leaves(state)}
    names = ("all-gather", "all-reduce", "all-to-all", "collective-permute")
    return {
        "mesh": dict(placement.mesh.shape),
        "collectives": {n: len(re.findall(rf"{n}[.\w-]*\(", text)) for n in names},
        "members_held_by_a_device": sorted(held),
        "devices": sorted(devices),
    }


def main():
    # Draws take long to compile: of each kind where one case has it.
    varied, alternating = make_problem(), make_problem("alternating", 0)
    plain = make_problem("none", 0)
    results = []
    taught = {"loss": DistillationLoss((NETWORK, BRANCHING), 4.0, 0.5)}
    coupling = SharedTrunk(first_of_branches(BRANCHING, 1))
    branching = {"network": BRANCHING, "coupling": coupling}
    cases = (
        (2, "unroll", varied, {}),
        (2, "loop", plain, {"with_replacement": True}),
        (3, "vmap", alternating, {}),
        (2, "loop", plain, taught),
        (3, "unroll", plain, branching),
        (2, "vmap", with_transforms(plain), {}),
    )
    if "streamed" in sys.argv:  # which needs grain
        stream, _ = streamed(varied)
        cases = (
            (2, "vmap", stream, {}),
            (2, "loop", stream, taught),
            (2, "vmap", stream, branching),
            (2, "vmap", with_transforms(stream), {}),
        )
    for members, strategy, task_of, of_stage in cases:
        assert strategy in STRATEGIES
        alone = train(task_of, members, strategy, jax.devices()[:1], **of_stage)
        together = train(task_of, members, strategy, jax.devices(), **of_stage)
        (start,) = fetch(starts_of(1, of_stage.get("network", NETWORK)))
        results.append(
            {
                "members": members,
                "strategy": strategy,
                "difference": largest_difference(together, alone),
                "learned": largest_difference(alone[0]["member0"].params, start.params),
            }
        )
    programs = [describe_program(varied, m, s) for m, s in ((2, "unroll"), (8, "vmap"))]
    json.dump({"trained": results, "programs": programs}, sys.stdout)


if __name__ == "__main__":
    main()
