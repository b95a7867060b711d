"""What runs might have written, made by hand, and a reader of pages."""

import base64
from html.parser import HTMLParser

import numpy as np

ARCHITECTURES = {  # blocks, and parameters
    "V13": ("(3:64)x2 | (3:128)x2 | (3:256)x2", 9_410_000),
    "V16": ("(3:64)x2 | (3:128)x2 | (3:256)x3", 10_000_000),
    "V16A": ("(3:128)x2 | (3:128)x3 | (3:128)x2", 6_480_000),
    "V16B": ("(5:64)x2 | (3:128)x2 | (3:256)x3", 14_720_000),
    "V19": ("(3:64)x2 | (3:128)x4 | (3:256)x4", 20_030_000),
    "mothernet": ("(3:64)x2 | (3:128)x2 | (3:128)x2", 5_281_234),
}
ARCHITECTURES = {
    name: {"architecture": f"vgg {blocks}; dense 64; batch_norm", "parameters": size}
    for name, (blocks, size) in ARCHITECTURES.items()
}
MOTHERNET = ARCHITECTURES.pop("mothernet")
RECIPE = {
    "networks": ["mothernet_1"],
    "epochs": 40,
    "learning_rate": 0.1,
    "schedule": "hold_linear",
    "batch_size": 128,
    "weight_decay": 5e-4,
    "label_smoothing": 0.0,
    "optimizer": "sgd",
    "average": "none",
    "stop": "epochs",
}
PAIR = ("mothernets", "full_data")
VOID = {"meta", "link", "img", "source"}


def fake_results(
    methods=PAIR, errors=(0.0213, 0.0249), flops=(3.21e14, 8.45e14), replicas=2, **how
):
    """What a run of V5 might have written; `errors` and `flops` are the methods'."""
    clusters, validation = how.get("clusters", 1), how.get("validation", True)
    numbers, suffix = range(1, replicas + 1), how.get("suffix", "")
    kinds = {f"{k}_{n}{suffix}": k for k in ARCHITECTURES for n in numbers}
    mothers = {
        f"mothernet_{n + 1}": {name: kinds[name] for name in [*kinds][n::clusters]}
        for n in range(clusters)
    }
    figures = [*zip(errors, flops, strict=True), *[(0.03, 5e14)] * len(methods)]
    return {
        "name": "vgg_ensemble-digits",
        "provenance": {"command": "python launch.py", "device": "cpu", "jax": "0.10.2"},
        "data": {"name": "digits", "train_examples": 1257, "test_examples": 1797}
        | {"validation_examples": 180 if validation else 0}
        | {"input_shape": [8, 8, 1], "class_names": list("0123456789")},
        "plan": {"clusters": [fake_cluster(*item) for item in mothers.items()]},
        "methods": {
            method: fake_method(method, kinds, mothers, *figures[number], validation)
            for number, method in enumerate(methods)
        },
    }


def without_clocks(value):
    """What is the same on a repeat, of the results of a run."""
    if isinstance(value, dict):
        return {k: without_clocks(v) for k, v in value.items() if k != "clocks"}
    return [without_clocks(v) for v in value] if isinstance(value, list) else value


def fake_cluster(name, kinds):
    grown = {"widened_layers": 2, "inserted_layers": 1, "enlarged_filters": 0}
    members = [
        {"name": member, "unchanged_layers": 5, **grown, **ARCHITECTURES[kind]}
        | {"inherited_share": 5_281_234 / ARCHITECTURES[kind]["parameters"]}
        for member, kind in kinds.items()
    ]
    return {"name": name, "members": members, **MOTHERNET}


def fake_method(method, kinds, mothers, error, flops, validation):
    hatched = method == "mothernets"
    clocks = {"train_seconds": 81.26, "compile_seconds": 12.5, "eval_seconds": 1234.5}
    clocks["hatch_seconds"] = 2.5 if hatched else 0.0  # of each stage
    before = len(mothers) if hatched else 0
    each = flops / (before + len(kinds))
    groups = []
    for name, own in mothers.items() if hatched else {"": kinds}.items():
        groups += [[name]] if hatched else []
        groups += [[m for m in own if own[m] == kind] for kind in ARCHITECTURES]
    groups = [group for group in groups if group]
    history = {"train_error": [0.4, 0.2, 0.08], "train_loss": [0.9, 0.5, 0.2]}
    history["validation_error"] = [0.5, 0.3, 0.1] if validation else [None] * 3
    common = {"architecture": "vgg (3:64)", "strategy": "unroll", "clocks": clocks}
    stages = [
        {"name": f"{method}-{number}", "members": group, **common}
        | {"train_flops": each * len(group)}
        | {"history": dict.fromkeys(group, history)}
        for number, group in enumerate(groups)
    ]
    members = {
        name: {"error": 1.52 * error + 0.0016 * number, "train_flops": each}
        | {"validation_error": 1.6 * error if validation else None, "epochs": 24}
        | ARCHITECTURES[kind]
        for number, (name, kind) in enumerate(kinds.items())
    }
    trained = np.cumsum([len(group) for group in groups]).tolist()
    anytime, finished = [], 0
    for group, networks in zip(groups, trained, strict=True):
        if group[0] in members:
            finished += len(group)
            point = {"members": finished, "train_flops": each * networks}
            anytime.append({**point, "error": max(0.0, 2 * error - finished / 1e4)})
    anytime[-1] |= {"train_flops": flops, "error": error}
    combines = {"average": error, "vote": 1.1 * error, "oracle": 0.4 * error}
    change = {"largest_logit_difference": 3e-6, "relative_logit_difference": 2e-7}
    return {
        "ensemble": {name: {"error": value} for name, value in combines.items()},
        "validation": {"average": {"error": 1.2 * error}} if validation else {},
        "mean_member_error": 2 * error,
        "members": members,
        "cost": {"train_flops": flops, "epochs": 24 * (before + len(kinds))}
        | {"parameters": sum(m["parameters"] for m in members.values())},
        "hatching": dict.fromkeys(kinds, change) if hatched else {},
        "clocks": clocks,
        "anytime": anytime,
        "stages": stages,
    }


class Page(HTMLParser):
    """A page whose tags balance: its addresses, texts, and the rows of its tables."""

    def __init__(self, source):
        super().__init__()
        self.source = source
        self.open, self.tags, self.addresses, self.texts = [], [], [], []
        self.tables = []
        self.feed(source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.addresses += [v for n, v in attributes if n in ("src", "href", "srcset")]
        self.open += [] if tag in VOID else [tag]
        self.tables += [[]] if tag == "table" else []
        if tag == "tr":
            self.tables[-1].append({})
        if tag in ("th", "td") and "thead" not in self.open:
            self.cell = dict(attributes).get("data-label", "")
            self.tables[-1][-1][self.cell] = ""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and self.open[-1] in ("th", "td") and "thead" not in self.open:
            self.tables[-1][-1][self.cell] += data

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def svgs(self):
        """Every plot that the page holds, decoded."""
        plot = "data:image/svg+xml;base64,"
        found = [a.removeprefix(plot) for a in self.addresses if a.startswith(plot)]
        return [base64.b64decode(svg).decode("utf-8") for svg in found]


def add_predictions(results, calibrated=True):
    """Scores, diversity and reliability, chosen by hand."""
    for method in results["methods"].values():
        count = len(method["members"])
        average = method["ensemble"]["average"]
        average |= {"nll": 0.25, "brier": 0.125, "ece": 0.0625, "ece_adaptive": 0.07}
        bins = {"confidence": [None, 0.4, 0.9], "accuracy": [None, 0.5, 1.0]}
        bins["count"] = [0, 2, 6]
        if calibrated:
            average["temperature"] = 0.75
            average["calibrated"] = {"nll": 0.2, "ece": 0.03125}
            after = {"confidence": [None, 0.45, 0.95], "accuracy": [None, 0.5, 1.0]}
            bins["calibrated"] = after | {"count": [0, 2, 6]}
            weighted = {"error": 0.5 * average["error"], "nll": 0.24}
            method["ensemble"]["super_learner"] = weighted
        method["reliability"] = bins
        curve = {"coverage": [0.5, 0.8, 0.9, 0.95, 1.0], "aurc": 0.005}
        method["risk_coverage"] = {**curve, "error": [0.0, 0.01, 0.01, 0.015, 0.02]}
        matrix = np.where(np.eye(count), 0.0, 0.2)
        matrix[0, -1] = matrix[-1, 0] = 0.4 if count > 1 else 0.0
        method["diversity"] = {
            "disagreement": 0.21 if count > 1 else None,
            "disagreement_matrix": matrix.tolist(),
        }
    return results
