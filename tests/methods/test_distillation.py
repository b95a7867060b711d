"""What a network learns from those that teach it, by hand, and what it costs."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import log_softmax, softmax
from step_specs import plain_spec
from tiny_methods import noise_task, settings_of

from mothernets_jax.architectures import mlp
from mothernets_jax.architectures.costs import forward_flops, train_flops
from mothernets_jax.config.settings import Recipe
from mothernets_jax.methods import METHODS
from mothernets_jax.methods.distillation import DistillationLoss
from mothernets_jax.methods.grown import grown_plan
from mothernets_jax.stages.task import step_spec
from mothernets_jax.training.augment import FlipState
from mothernets_jax.training.member_step import (
    StepInputs,
    TrainingData,
    make_member_step,
)
from mothernets_jax.training.step_spec import Targets

IMAGES, LABELS = 6, np.array([0, 1, 2, 0, 1, 2], np.int32)
TEMPERATURE, SHARE = 3.0, 0.7


def layers(rng, hidden):
    """Kernels and biases of an MLP of 4 inputs and 3 classes, in float64."""
    shapes = (4, hidden), (hidden,), (hidden, 3), (3,)
    return [rng.normal(size=shape) for shape in shapes]


def variables_of(w1, b1, w2, b2):
    params = {"dense1": {"kernel": w1, "bias": b1}, "head": {"kernel": w2, "bias": b2}}
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)
    return {"params": params, "batch_stats": {}}


def logits_of(x, w1, b1, w2, b2):
    return np.maximum(x @ w1 + b1, 0) @ w2 + b2


@pytest.mark.parametrize("teachers", [(5,), (5, 2), (5, 2, 7)])
def test_the_loss_of_several_teachers_and_its_gradient_by_hand(seed, teachers):
    """The target is the mean of the teachers' softmaxes, each at the temperature."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (IMAGES, 2, 2, 1), np.uint8)
    own, *theirs = (layers(rng, hidden) for hidden in (4, *teachers))
    references = tuple(mlp((hidden,)) for hidden in teachers)
    loss = DistillationLoss(references, TEMPERATURE, SHARE)
    step = make_member_step(plain_spec(mlp((4,)), loss=loss))
    data = TrainingData(
        jnp.asarray(images),
        jnp.asarray(LABELS),
        jnp.array([128.0]),
        jnp.array([64.0]),
        tuple(variables_of(*teacher) for teacher in theirs),
    )
    key, rates = jax.random.key(0), (jnp.float32(0.1), 0.0, 0.0)
    sides = FlipState(key, jnp.int32(0))
    inputs = StepInputs(jnp.arange(IMAGES), key, *rates, sides, jnp.bool_(True))
    compute = jax.jit(jax.value_and_grad(step.loss, has_aux=True))
    (found, _), gradient = compute(variables_of(*own)["params"], {}, data, inputs)

    x = (images.reshape(IMAGES, 4) - 128.0) / 64.0
    w1, b1, w2, _ = own
    logits = logits_of(x, *own)
    target = np.mean(
        [softmax(logits_of(x, *each) / TEMPERATURE, axis=1) for each in theirs], axis=0
    )
    softened = log_softmax(logits / TEMPERATURE, axis=1)
    divergence = (target * (np.log(target) - softened)).sum(1)
    labels_part = -log_softmax(logits, axis=1)[range(IMAGES), LABELS]
    losses = (1 - SHARE) * labels_part + SHARE * TEMPERATURE**2 * divergence
    np.testing.assert_allclose(found, losses.mean(), rtol=1e-4)

    of_labels = softmax(logits, axis=1) - np.eye(3)[LABELS]
    of_teachers = TEMPERATURE * (np.exp(softened) - target)
    d_logits = ((1 - SHARE) * of_labels + SHARE * of_teachers) / IMAGES
    before = x @ w1 + b1
    d_hidden = (d_logits @ w2.T) * (before > 0)
    expected = {
        "dense1": {"kernel": x.T @ d_hidden, "bias": d_hidden.sum(0)},
        "head": {
            "kernel": np.maximum(before, 0).T @ d_logits,
            "bias": d_logits.sum(0),
        },
    }
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
        gradient,
        expected,
    )


def test_one_teacher_is_no_special_case(seed):
    """Its mean is itself, to the last bit of the loss."""
    own, told = np.random.default_rng(seed).normal(0, 9, (2, IMAGES, 3))
    own, told = jnp.float32(own), jnp.float32(told)
    loss = DistillationLoss((mlp((5,)),), TEMPERATURE, 1.0)
    found = loss(own, Targets(jnp.asarray(LABELS), 0.0, None, told[None]))
    logs = (jax.nn.log_softmax(logits / TEMPERATURE) for logits in (own, told))
    divergence = optax.losses.kl_divergence_with_log_targets(*logs)
    np.testing.assert_array_equal(found, TEMPERATURE**2 * divergence)


def test_every_teacher_looks_at_every_image_and_is_paid_for():
    task, networks = noise_task(), [*settings_of().members.values()]
    of_task = task.input_shape, task.num_classes
    loss = DistillationLoss(tuple(networks), TEMPERATURE, SHARE)
    spec = step_spec(task, networks[0], recipe=Recipe(), loss=loss)
    looks = sum(forward_flops(own, *of_task) for own in networks)
    own = train_flops(networks[0], *of_task)
    assert spec.flops_per_image == pytest.approx(own + looks)


def plan_of(method, *grown):
    task, settings = noise_task(), settings_of(methods=(method,), grown=grown)
    plan = METHODS[method](task, settings, settings.members)
    return grown_plan(method, plan, task, settings)


@pytest.mark.parametrize("method", ["mothernets", "full_data"])
def test_the_ensemble_as_it_was_teaches_one_of_its_members(method):
    plan = plan_of(method, "drop A", "epochs 2", "distill C epochs 3", "epochs 1")
    student, longer = plan.stages[-2:]
    assert student.members == ("C_distilled",) and student.recipe.epochs == 3
    assert student.references == student.needs == ("B_plus2", "C_plus2")
    networks = settings_of().members
    assert student.spec.loss.references == (networks["B"], networks["C"])
    assert plan.continues["C_distilled"] == "C_plus2"
    # And goes on as it was trained, taught.
    assert [*plan.members] == ["C_distilled_plus1"] == [*longer.members]
    assert longer.spec == student.spec and longer.references == student.references
    assert longer.needs == ("C_distilled", "B_plus2", "C_plus2")


def test_a_student_of_members_with_bags_of_images_sees_them_all():
    *members, student = plan_of("bagging", "distill A epochs 1").stages
    assert all(own.with_replacement for own in members)
    assert student.references == ("A", "B", "C") and not student.with_replacement
