"""The combination of members, and its temperature, as ONNX's operators.

What `ensembles.combine` and `metrics.calibration.rescale` compute in float64, here in
float32: probabilities agree to some 1e-6. Logarithms are taken of logits, never of
probabilities, which float32 would round to 0.

Axes: [members, batch, classes] logits, [batch, classes] probabilities.
"""

from collections.abc import Sequence

import numpy as np

from mothernets_jax.ensembles.export.onnx_graph import Graph


def add_combination(
    graph: Graph,
    logits: Sequence[str],
    num_classes: int,
    *,
    weights: np.ndarray,
    votes: bool,
    temperature: float | None,
    name: str,
) -> None:
    """Adds the combination of members' predictions to a graph.

    Args:
        graph: the graph, which it is added to.
        logits: names of the members' logits, [batch, classes] each.
        num_classes: number of classes.
        weights: [members] of their probabilities, each above 0, summing to 1.
        votes: whether members vote, and weighted probabilities only break ties.
        temperature: temperature of the combination; None for none.
        name: name of the combined probabilities, float32 [batch, classes].
    """
    first = graph.constant("first_axis", np.zeros(1, np.int64))
    rows = [graph.add("Unsqueeze", f"{own}_row", own, first) for own in logits]
    stacked = graph.add("Concat", "logits", *rows, axis=0)
    factors = weights[:, None, None]
    if temperature is None:
        shares = graph.add("Softmax", "member_probabilities", stacked, axis=2)
        factor = graph.constant("weights", factors.astype(np.float32))
        weighted = graph.add("Mul", "weighted_probabilities", shares, factor)
        mean = "mean_probabilities" if votes else name
        mean = graph.add("ReduceSum", mean, weighted, first, keepdims=0)
        if votes:
            _add_votes(graph, stacked, mean, len(logits), num_classes, name)
        return
    logs = graph.add("LogSoftmax", "member_logs", stacked, axis=2)
    summand = graph.constant("log_weights", np.log(factors).astype(np.float32))
    logs = graph.add("Add", "weighted_logs", logs, summand)
    logs = graph.add("ReduceLogSumExp", "mean_logs", logs, axes=(0,), keepdims=0)
    if votes:
        logs = _add_logs_of_votes(graph, stacked, logs, num_classes)
    divisor = graph.constant("temperature", np.array(temperature, np.float32))
    scaled = graph.add("Div", "scaled_logs", logs, divisor)
    graph.add("Softmax", name, scaled, axis=1)


def _add_votes(
    graph: Graph, logits: str, mean: str, members: int, num_classes: int, name: str
) -> None:
    """Adds shares of votes: (votes + mean / 2) / (members + 1 / 2)."""
    half = graph.constant("half", np.array(0.5, np.float32))
    total = graph.constant("all_votes", np.array(members + 0.5, np.float32))
    votes = _count(graph, logits, num_classes)
    tie_break = graph.add("Mul", "tie_break", mean, half)
    sums = graph.add("Add", "votes_and_tie_break", votes, tie_break)
    graph.add("Div", name, sums, total)


def _add_logs_of_votes(
    graph: Graph, logits: str, mean_logs: str, num_classes: int
) -> str:
    """Adds log(votes + mean / 2), which without votes is the mean's log less log 2."""
    votes = _count(graph, logits, num_classes)
    log_half = graph.constant("log_half", np.array(np.log(0.5), np.float32))
    tie_break_log = graph.add("Add", "tie_break_logs", mean_logs, log_half)
    tie_break = graph.add("Exp", "tie_break", tie_break_log)
    sums = graph.add("Add", "votes_and_tie_break", votes, tie_break)
    logs = graph.add("Log", "logs_of_sums", sums)
    none = graph.constant("no_vote", np.array(0, np.float32))
    some = graph.add("Greater", "has_votes", votes, none)
    return graph.add("Where", "logs_of_votes", some, logs, tie_break_log)


def _count(graph: Graph, logits: str, num_classes: int) -> str:
    """Number of the members that hold each class the likeliest, [batch, classes]."""
    likeliest = graph.add("ArgMax", "likeliest", logits, axis=2, keepdims=0)
    depth = graph.constant("num_classes", np.array([num_classes], np.int64))
    levels = graph.constant("vote", np.array([0, 1], np.float32))
    cast = graph.add("OneHot", "member_votes", likeliest, depth, levels, axis=-1)
    first = graph.constant("first_axis", np.zeros(1, np.int64))
    return graph.add("ReduceSum", "votes", cast, first, keepdims=0)
