"""A run of seven methods: what each section of its report shows, and when."""

import itertools
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from fake_runs import Page, add_predictions, fake_results
from matplotlib.colors import to_rgb

from mothernets_jax import report
from mothernets_jax.methods import METHODS
from mothernets_jax.report import run_page
from mothernets_jax.report.plots import style
from mothernets_jax.report.plots.curves import curves_of
from mothernets_jax.report.plots.disagreement import disagreement
from mothernets_jax.report.plots.frontier import frontier, pareto
from mothernets_jax.report.plots.label_places import overlap, place_labels
from mothernets_jax.report.plots.reliability import reliability_diagrams
from mothernets_jax.report.plots.series import (
    anytime_points,
    flops_before_members,
    series_of,
)

SEVEN = "mothernets full_data bagging distillation treenets snapshot fge".split()
SEVEN_ERRORS = (0.02, 0.025, 0.026, 0.03, 0.04, 0.015, 0.016)
SEVEN_FLOPS = (3e14, 6e14, 6e14, 1e15, 4e14, 3e14, 2e14)


def seven(**how):
    results = fake_results(SEVEN, SEVEN_ERRORS, SEVEN_FLOPS, replicas=1, **how)
    return add_predictions(results)


def page_of(results):
    return Page(run_page._page(results, {}, Path("run")))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = report.write_report(seven(), tmp_path_factory.mktemp("seven"))
    assert path.stat().st_size < 1.5e6
    return Page(path.read_text(encoding="utf-8"))


def test_seven_methods_are_all_there(page):
    worth, costs = page.tables[:2]
    names = ["MotherNets", "Full data", "Bagging", "Distillation", "TreeNets"]
    names += ["Snapshot", "FGE"]
    assert [row[""] for row in worth[1:]] == names
    assert [row[""] for row in costs[1:]] == names
    scores = [worth[1][name] for name in ("NLL", "Brier", "ECE", "disagreement")]
    assert scores == ["0.250", "0.125", "6.25%", "21.00%"]
    assert [row["of full data"] for row in worth[1:]] == (
        ["50%", "100%", "100%", "167%", "67%", "50%", "33%"]
    )
    drawn = [ElementTree.fromstring(svg) for svg in page.svgs()]
    texts = ["".join(svg.itertext()) for svg in drawn]
    assert len(texts) == 2 * 8
    everywhere = [text for text in texts if all(name in text for name in names)]
    assert len(everywhere) == 2 * 7  # in all plots but the plan


@pytest.mark.parametrize(
    ("path", "value", "column", "text"),
    [
        ("cost.images", 1234567, "images", "1.23 M"),
        ("cost.inference_flops", 2.5e9, "inference FLOPs", "2.5 G"),
        ("clocks.peak_memory_bytes", 1.5e9, "peak memory", "1.5 GB"),
        ("clocks.dollars", 12.3, "money", "$12.30"),
        ("clocks.dollars", 0.00423, "money", "$0.0042"),
    ],
)
def test_costs_are_shown_where_they_were_measured(path, value, column, text):
    results = fake_results()
    assert column not in page_of(results).tables[1][1]
    group, name = path.split(".")
    ours = results["methods"]["mothernets"]
    ours[group] = ours[group] | {name: value}
    rows = page_of(results).tables[1][1:]
    assert [row[column] for row in rows] == [text, "–"]


def test_what_members_share_counts_once():
    results = fake_results()
    results["methods"]["mothernets"]["cost"]["parameters"] = 5281234
    _, costs, *_, members, _, _ = page_of(results).tables
    assert costs[1]["parameters"] == members[-1]["parameters"] == "5.28 M"
    assert costs[2]["parameters"] == "121 M"


def test_how_networks_differ_and_what_they_doubt():
    results = seven()
    assert "images of another kind" not in page_of(results).text
    for number, method in enumerate(results["methods"].values()):
        method["diversity"] |= {"covariance": 0.0123, "mutual_information": 0.25}
        found = {"auroc_max_probability": 0.9, "auroc_entropy": 0.875 - number / 100}
        method["ood"] = {"name": "svhn", **found}
    page = Page(run_page._page(results, {"disagreement": ""}, Path("run")))
    assert "the test images of svhn from" in " ".join(page.text.split())
    named = {tuple(table[1])[1:]: table[1:] for table in page.tables}
    rows = named["disagreement", "covariance", "mutual information"]
    assert [*rows[6].values()] == ["FGE", "21.00%", "0.012", "0.250"]
    rows = named["AUROC by probability", "AUROC by entropy"]
    assert [*rows[6].values()] == ["FGE", "0.900", "0.815"]


def test_combinations():
    tables = page_of(seven()).tables[2:8]
    error, nll, ece, calibrated, less, temperature = (table[1] for table in tables)
    assert list(error) == ["", "average", "vote", "super learner", "oracle"]
    assert list(error.values())[1:] == ["2.00%", "2.20%", "1.00%", "0.80%"]
    assert nll == {"": "MotherNets", "average": "0.250", "super learner": "0.240"}
    assert ece == {"": "MotherNets", "average": "6.25%"}
    assert calibrated == {"": "MotherNets", "average": "0.200"}
    assert less == {"": "MotherNets", "average": "3.12%"}
    assert temperature == {"": "MotherNets", "average": "0.75"}


HEADINGS = {
    "disagreement": "How the networks differ",
    "reliability": "Whether they know what they know",
    "risk_coverage": "Where they had better not answer",
    "plan": "What the networks share",
}


PREDICTIONS = ("disagreement", "reliability", "risk_coverage")


@pytest.mark.parametrize("absent", [(), ("plan",), PREDICTIONS])
def test_sections_without_data_are_left_out(absent, tmp_path):
    results = fake_results(("bagging",) if "plan" in absent else ("mothernets",))
    if "reliability" not in absent:
        add_predictions(results)
    path = report.write_report(results, tmp_path)
    text = Page(path.read_text(encoding="utf-8")).text
    assert {n for n, heading in HEADINGS.items() if heading not in text} == {*absent}
    drawn = {file.stem for file in (tmp_path / "plots").iterdir()}
    assert {*HEADINGS} - drawn == {*absent}


def test_the_temperature_is_told_where_there_is_one():
    for calibrated in (True, False):
        text = page_of(add_predictions(fake_results(), calibrated)).source
        figure = reliability_diagrams(
            add_predictions(fake_results(), calibrated)["methods"], style.WIDE
        )
        assert figure is not None
        assert len(figure.axes[0].lines) == (3 if calibrated else 2)
        notes = [note.get_text() for note in figure.axes[0].texts]
        assert notes == ["ECE 6.2% → 3.1%" if calibrated else "ECE 6.2%"]
        assert ("NLL at the temperature" in text) == calibrated


def test_wrong_images_are_the_main_method_s():
    results = seven()
    wrong = {"image": 3, "label": 0, "predicted": 9, "probability": 0.987}
    for method in results["methods"].values():
        method["worst_images"] = []
    results["methods"]["mothernets"]["worst_images"] = [{**wrong, "png": "iVBORw0="}]
    results["data"]["class_names"][0] = "<i>"
    page = page_of(results)
    assert "data:image/png;base64,iVBORw0=" in page.addresses
    assert "<i>, taken for 9 (98.70%), image 3" in page.text
    results["methods"]["mothernets"]["worst_images"] = []
    assert "Sure, and wrong" not in page_of(results).text


def test_errors_among_the_surest_are_read_off_the_curve(page):
    (rows,) = (table[1:] for table in page.tables if "AURC" in table[1])
    assert rows[0] == {
        "": "MotherNets",
        "AURC": "0.50%",
        "all": "2.00%",
        "the surest 95%": "1.50%",
        "the surest 90%": "1.00%",
        "the surest 80%": "1.00%",
        "the surest 50%": "0.00%",
    }


def test_reliability_shows_the_bins_that_are_not_empty():
    figure = reliability_diagrams(seven()["methods"], style.NARROW)
    assert figure is not None
    diagonal, after, before = (line.get_xydata() for line in figure.axes[0].lines)
    assert diagonal.tolist() == [[0, 0], [1, 1]]
    assert after.tolist() == [[0.45, 0.5], [0.95, 1.0]]
    assert before.tolist() == [[0.4, 0.5], [0.9, 1.0]]
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert np.allclose(heights, [0, 0.25 / 3, 0.25])  # of 0, 2 and 6 images


def test_one_scale_of_disagreement_and_nothing_on_the_diagonal():
    figure = disagreement(seven()["methods"], style.WIDE)
    assert figure is not None
    *panels, _scale = figure.axes
    assert len(panels) == 7
    for axes in panels:
        [mesh] = axes.collections
        assert mesh.get_clim() == (0.0, 0.4)
        shown = np.ma.getdata(mesh.get_array()).reshape(5, 5)
        assert np.isnan(np.diag(shown)).all()
        assert shown[0, 4] == shown[4, 0] == 0.4
        assert axes.get_yticklabels()[0].get_text() == "V13_1"


def test_one_member_disagrees_with_nobody():
    method = {"members": {"a": {}}, "diversity": {"disagreement_matrix": [[0.0]]}}
    assert disagreement({"full_data": method}, style.WIDE) is None


def stage(name, *members, errors=(0.5, 0.4)):
    history = {"validation_error": list(errors), "train_error": list(errors)}
    return {"name": name, "history": dict.fromkeys(members, history)}


@pytest.mark.parametrize(
    ("stages", "starts"),
    [  # of the curves: the epoch and the error that each begins with
        ("snapshot-a_1 snapshot-a_2 snapshot-a_3", [(1, 0.5), (2, 0.4), (4, 0.4)]),
        ("fge-a fge-a_1 fge-a_2", [(1, 0.5), (2, 0.4), (4, 0.4)]),
        ("star-mothernet_1 star-a_1 star-a_2", [(1, 0.5), (2, 0.4), (2, 0.4)]),
        ("prune_and_tune-a prune_and_tune-a_1", [(1, 0.5), (2, 0.4)]),
        ("distillation-teacher distillation-a", [(1, 0.5), (1, 0.5)]),
        ("full_data-a_1 full_data-a_2", [(1, 0.5), (1, 0.5)]),
    ],
)
def test_cycles_go_on_where_the_one_before_ended(stages, starts):
    names = stages.split()
    method = {
        "members": dict.fromkeys(name.split("-")[1] for name in names[1:]),
        "stages": [stage(name, name.split("-")[1]) for name in names],
    }
    curves = curves_of(method, [], "validation error")
    assert [(curve.epochs[0], curve.errors[0]) for curve in curves] == starts
    assert [curve.shared for curve in curves] == [True] + [False] * (len(names) - 1)


def test_the_pareto_front():
    costs, errors = [4, 1, 2, 3, 1, 5], [0.10, 0.50, 0.20, 0.30, 0.60, 0.10]
    assert pareto(costs, errors) == [1, 2, 0]
    assert pareto([1, 1], [0.2, 0.2]) == [0]


def test_the_frontier_has_a_point_for_each_method():
    results = seven()
    figure = frontier(series_of(results["methods"]), style.WIDE)
    assert figure is not None
    for axes, costs in zip(
        figure.axes,
        (SEVEN_FLOPS, [83.76 * 6 if n == "mothernets" else 81.26 * 5 for n in SEVEN]),
        strict=True,
    ):
        step, *lines = axes.lines
        points = [line.get_xydata()[0] for line in lines if line.get_marker() != "None"]
        expected = np.column_stack([costs, SEVEN_ERRORS])
        assert np.allclose(points, expected)
        # Nothing is left of and below a corner of the line.
        for x, y in step.get_xydata()[1:-1]:
            assert not any(c < x and e < y for c, e in expected)
    figure = frontier(series_of(results["methods"]), style.WIDE, {"train_flops": "F"})
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_xlabel() == "F"


def test_seconds_so_far_count_hatching_and_what_was_trained_first():
    method = fake_results(replicas=1)["methods"]["mothernets"]
    seconds = [point["seconds"] for point in anytime_points(method)]
    assert seconds == pytest.approx([(81.26 + 2.5) * n for n in (2, 3, 4, 5, 6)])
    assert flops_before_members(method) == pytest.approx(3.21e14 / 6)


def test_a_second_mothernet_is_not_before_the_first_member():
    method = fake_results(clusters=2)["methods"]["mothernets"]
    assert flops_before_members(method) == pytest.approx(3.21e14 / 12)
    assert method["anytime"][0]["train_flops"] > flops_before_members(method)


def luminance(colour):
    """Of WCAG 2: linear light, by the eye's sensitivity."""
    light = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour
    ]
    return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]


def test_colours_are_readable_and_markers_differ():
    assert style.METHOD_STYLES.keys() == METHODS.keys()
    styles = style.METHOD_STYLES.values()
    assert len({marker for _, marker in styles}) == len(METHODS)
    for colour, _ in styles:  # 3 to 1 on white is WCAG's minimum for graphics
        assert 1.05 / (luminance(to_rgb(colour)) + 0.05) >= 3


# Machado, Oliveira and Fernandes 2009: how linear RGB is seen, severity 1.
DEFICIENCIES = {
    "none": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [
        [0.152, 1.053, -0.205],
        [0.115, 0.786, 0.099],
        [-0.004, -0.048, 1.052],
    ],
    "deuteranopia": [
        [0.367, 0.861, -0.228],
        [0.280, 0.673, 0.047],
        [-0.012, 0.043, 0.969],
    ],
}


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colours_can_be_told_apart(deficiency):
    seen = []
    for name, _ in style.METHOD_STYLES.values():
        colour = np.array(to_rgb(name))
        linear = np.where(
            colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4
        )
        seen.append(
            np.clip(np.array(DEFICIENCIES[deficiency]) @ linear, 0, 1) ** (1 / 2.2)
        )
    for one, other in itertools.combinations(seen, 2):
        assert np.abs(one - other).max() > 0.1


def test_labels_cover_neither_points_nor_one_another():
    rng = np.random.default_rng(0)
    points = [(float(x), float(y)) for x, y in rng.uniform(60, 340, (8, 2))]
    sizes = [(70.0, 15.0)] * 8
    boxes = place_labels(points, sizes, (0, 0, 400, 400))
    for box, other in itertools.combinations(boxes, 2):
        assert overlap(box, other) == 0
    for box, (x, y) in itertools.product(boxes, points):
        assert not (box[0] < x < box[2] and box[1] < y < box[3])


def test_labels_stay_within_and_off_obstacles():
    right_of_it = (11.0, -7.5, 81.0, 7.5)
    assert place_labels([(0, 0)], [(70, 15)], (-200, -99, 200, 99)) == [right_of_it]
    [left] = place_labels([(0, 0)], [(70, 15)], (-200, -99, 50, 99))
    assert left == pytest.approx((-81.0, -7.5, -11.0, 7.5))
    wall = [(20.0, -99.0, 30.0, 99.0)]
    [left] = place_labels([(0, 0)], [(70, 15)], (-200, -99, 200, 99), wall)
    assert left == pytest.approx((-81.0, -7.5, -11.0, 7.5))


@pytest.mark.parametrize(
    ("errors", "stretched", "ticks"),
    [
        ((0.02, 0.03), False, [0.02, 0.022, 0.024, 0.026, 0.028, 0.03]),
        ((0.0, 0.3), False, [0, 0.1, 0.2, 0.3]),
        ((0.01, 0.5), True, None),
        # A tenth of 30% is 3 points: 1.5 on either side of the middle.
        ((0.2997, 0.3), False, [0.29, 0.3, 0.31]),
    ],
)
def test_percent_axes(errors, stretched, ticks):
    axes = style.new_figure(400, 300).add_axes((0, 0, 1, 1))
    style.set_percent_axis(axes, "y", errors)
    assert (axes.get_yscale() == "function") == stretched
    found = axes.get_yticks()
    assert len(found) >= 3
    low, high = axes.get_ylim()
    assert low < errors[0] and errors[1] < high
    assert all(max(low, 0) <= tick <= high for tick in found)
    if ticks:
        assert np.allclose(found, ticks)


def test_the_page_is_plain(page):
    assert "script" not in {tag for tag, _ in page.tags}
    assert {address[:5] for address in page.addresses} == {"data:"}
    assert not re.search(r"\$[a-z]", page.text)  # a field that was not filled in
