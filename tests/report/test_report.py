"""The report shows the results, all of them, as they are, wherever it is opened."""

import io
import os
import re
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from fake_runs import ARCHITECTURES, MOTHERNET, Page, fake_cluster, fake_results
from matplotlib import rc_context
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from rich.console import Console

from mothernets_jax import report
from mothernets_jax.report import run_page
from mothernets_jax.report.findings import headline
from mothernets_jax.report.page import picture
from mothernets_jax.report.plots import style
from mothernets_jax.report.plots.plan import family_of
from mothernets_jax.report.tables import comparison_table


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """The folder of a run with its report."""
    folder = tmp_path_factory.mktemp("run")
    assert report.write_report(fake_results(), folder) == folder / "report.html"
    return folder


@pytest.fixture
def page(workdir):
    return Page((workdir / "report.html").read_text(encoding="utf-8"))


def written(results, folder):
    return Page(report.write_report(results, folder).read_text(encoding="utf-8"))


def without_plots(results):
    return Page(run_page._page(results, {}, Path("run")))


def percent(fraction):
    """An independent way to two decimals."""
    return f"{(Decimal(fraction) * 100).quantize(Decimal('0.01'))}%"


def test_the_comparison_on_the_page_and_in_the_terminal():
    results = fake_results(methods=("mothernets", "full_data", "new_method"))
    page = without_plots(results)
    _, *rows = page.tables[0]
    names = ",networks,average error,member error,oracle error,train FLOPs,of full data"
    texts = "MotherNets,10,2.13%,4.26%,0.85%,321 T,38%"  # 3.21 of 8.45
    expected = dict(zip(names.split(","), texts.split(","), strict=True))
    assert rows[0] == expected
    assert [row["of full data"] for row in rows] == ["38%", "100%", "59%"]
    names = (
        ",train FLOPs,of full data,epochs,train sec,compile sec,eval sec,hatch sec,"
        "parameters"
    )
    # 11 networks, 24 epochs each; ten of them are members.
    texts = "MotherNets_321 T_38%_264_81.3_12.5_1,234_2.5_121 M"
    assert page.tables[1][1] == dict(
        zip(names.split(","), texts.split("_"), strict=True)
    )

    columns = ",average error,vote error,oracle error,member error,train FLOPs,of full"
    columns += " data,epochs,train sec,compile sec,eval sec"
    cells = "MotherNets 2.13% 2.34% 0.85% 4.26% 321_T 38% 264 81.3 12.5 1,234"
    cells = [cell.replace("_", " ") for cell in cells.split()]
    table = comparison_table(results)
    names = [str(column.header).replace("\n", " ") for column in table.columns]
    assert names == ["method", *columns.split(",")[1:]]
    assert [str(next(column.cells)) for column in table.columns] == cells
    stream = io.StringIO()
    Console(file=stream, width=80).print(table)
    lines = [" ".join(line.split()) for line in stream.getvalue().splitlines()]
    assert " ".join(cells) in lines


def test_no_share_without_full_data_and_no_markup_in_names():
    results = fake_results(("mothernets", "[red]x[/b]"))
    assert "of full data" not in without_plots(results).tables[0][1]
    table = comparison_table(results)
    assert not any("full" in str(column.header) for column in table.columns)
    assert "[red]x[/b]" in map(str, table.columns[0].cells)


def test_every_network_is_on_the_page(page):
    results = fake_results()
    methods = results["methods"].values()
    for (_, *rows, total), method in zip(page.tables[3:5], methods, strict=True):
        for row, (name, member) in zip(rows, method["members"].items(), strict=True):
            assert (row[""], row["test error"]) == (name, percent(member["error"]))
            assert row["validation error"] == percent(member["validation_error"])
            assert row["epochs"] == "24"
        assert total["test error"] == percent(method["ensemble"]["average"]["error"])
        error = method["validation"]["average"]["error"]
        assert total["validation error"] == percent(error)
        assert total["parameters"] == "121 M"  # 2 x (9.41 + 10 + 6.48 + 14.72 + 20.03)
    hatched, scratch = page.tables[3][1], page.tables[4][1]
    assert hatched["parameters"] == scratch["parameters"] == "9.41 M"
    assert hatched["inherited"] == "56%"  # 5.281 of 9.41
    assert hatched["hatching"] == "2.0e-07"
    flops = [row["train FLOPs"] for row in (hatched, scratch)]
    assert flops == ["29.2 T", "84.5 T"]  # 321 of 11 networks, 845 of 10
    assert "inherited" not in scratch
    notations = {row["architecture"]: row[""] for row in page.tables[5][1:]}
    assert notations[MOTHERNET["architecture"]] == "mothernet_1"
    assert notations[ARCHITECTURES["V19"]["architecture"]] == "V19_1, V19_2"
    assert "180 validation and 1,797 test images of 8 × 8 × 1 in 10" in page.text
    assert {*results["provenance"], *results["provenance"].values()} <= {*page.texts}


@pytest.mark.parametrize(
    ("copies", "sentence"),
    [
        (0, "No test images are exact copies of training images."),
        (1, "1 test image is an exact copy of a training image."),
        (1204, "1,204 test images are exact copies of training images."),
    ],
)
def test_test_images_among_the_training_images_are_told(copies, sentence):
    results = fake_results()
    assert "exact cop" not in without_plots(results).text  # an older version's run
    results["data"]["test_images_in_train"] = copies
    assert sentence in without_plots(results).text


def test_how_the_data_were_read_is_told():
    results = fake_results()
    results["data"]["notes"] = ["val/ is the <test> set.", "Skipped: 2 EPS files."]
    assert (
        "val/ is the <test> set. Skipped: 2 EPS files." in without_plots(results).text
    )


@pytest.mark.parametrize(
    "case",
    [  # errors and FLOPs of MotherNets and of full-data training: what is to be said
        ".0213 .0249 38 100: 2.1% errors, fewer than full-data training’s 2.5%: 38%",
        ".0249 .0213 38 100: 2.5% errors, more than full-data training’s 2.1%: 38%",
        ".0213 .0213 2 1: 2.1% errors, as many as full-data training: 200%",
        ".0000 .0000 1 2: 0.0% errors, as many as full-data training: 50%",
        ".0213 .0211 1 99: 2.13% errors, more than full-data training’s 2.11%: 1.0%",
    ],
)
def test_the_headline_says_what_was_found(case):
    numbers, finding, share = case.split(": ")
    ours, theirs, *flops = map(float, numbers.split())
    assert headline(fake_results(errors=(ours, theirs), flops=flops)) == (
        f"The MotherNets ensemble makes {finding}, with {share} of its training FLOPs."
    )


def test_headlines_without_the_pair():
    assert headline(fake_results(methods=("full_data",))) == (
        "The full-data ensemble of 10 networks makes 2.1% errors; its networks alone "
        "make 4.3% on average."
    )
    trio = fake_results(("bagging", "fge", "snapshot"), (0.3, 0.1, 0.1), (1, 1, 1))
    expected = "Of 3 methods, FGE and Snapshot make the fewest errors: 10.0%."
    assert headline(trio) == expected


@pytest.mark.parametrize("images", [(36, 45), (45, 36), (36, 99), (99, 36)])
def test_a_small_gap_is_called_small(images):
    ours, theirs = images
    results = fake_results(errors=(ours / 1797, theirs / 1797))
    end = ". Data" if 99 in images else ": too close to say which is better."
    remark = f"images MotherNets get {ours} wrong, full data {theirs}{end}"
    assert remark in without_plots(results).text


def test_a_third_method_that_beats_both_is_named():
    three = ("mothernets", "full_data", "bagging")
    results = fake_results(three, (0.03, 0.02, 0.01), (1e12, 2e12, 3e12))
    remark = "Bagging makes the fewest errors: 1.0%, with 150% of full-data"
    assert remark in without_plots(results).text
    results = fake_results(three, (0.03, 0.02, 0.04), (1e12, 2e12, 3e12))
    assert "fewest" not in without_plots(results).text


def test_nothing_is_loaded_from_elsewhere(page):
    assert {address[:5] for address in page.addresses} == {"data:"}
    assert not {"script", "iframe", "object"} & {tag for tag, _ in page.tags}
    for source in (page.source, *page.svgs()):
        assert "@import" not in source
        assert not re.search(r"url\(\s*['\"]?(?!#)", source)
    for svg in page.svgs():
        links = re.findall(r"(?:href|src)=\"([^\"]*)\"", svg)
        assert all(link.startswith(("#", "data:")) for link in links)


def test_names_are_escaped(tmp_path):
    evil = "<img src=x onerror='1'>&amp;$name $$ \"[b]"
    results = fake_results(("mothernets", evil), replicas=1, suffix=evil)
    results["name"] = results["data"]["name"] = evil
    results["provenance"][evil] = evil
    page = written(results, tmp_path)
    assert all(attributes.get("src") != "x" for _, attributes in page.tags)
    assert page.texts.count(evil) >= 4  # the run, a method, a term and its value
    assert page.tables[0][2][""] == evil
    assert page.tables[3][1][""] == "V13_1" + evil
    for svg in page.svgs():
        ElementTree.fromstring(svg)


def test_plots_are_drawn(page, workdir):
    images = {path.stem: path for path in (workdir / "plots").iterdir()}
    drawn = "frontier anytime plan learning_curves member_errors"
    assert {*images} == {*drawn.split()}
    for path in images.values():
        pixels = imread(path)[..., :3]
        assert pixels.shape[1] == 2 * style.WIDE
        for colour in ("#0072b2", "#f0b057" if path.stem == "plan" else "#d55e00"):
            near = np.abs(pixels - to_rgb(colour)).max(axis=-1) < 0.25
            assert near.sum() > 100, path
    svgs = [ElementTree.fromstring(svg) for svg in page.svgs()]
    widths = [float(svg.attrib["viewBox"].split()[2]) for svg in svgs]
    assert sorted(widths) == 5 * [style.NARROW] + 5 * [style.WIDE]
    assert all("MotherNet" in "".join(svg.itertext()) for svg in svgs)


def test_the_plan_draws_what_a_member_inherits():
    cluster = fake_cluster("mothernet_1", {"a": "V13", "b": "V13"})
    cluster["architecture"] = "vgg (3:4) | (3:8); batch_norm"
    for member in cluster["members"]:
        member["architecture"] = "vgg (5:8) (3:8) | (3:8); dense 9; batch_norm"
    mother, member = family_of(cluster)
    assert mother.layers == (((4, 4, False),), ((8, 8, False),), ())
    block1 = ((4, 8, True), (0, 8, False))
    assert member.layers == (block1, ((8, 8, False),), ((0, 9, False),))
    assert member.title == "a, b"
    assert "56% inherited, layers: 2 widened, 1 inserted" in ", ".join(member.details)


def test_hatched_curves_start_where_their_mothernet_ended():
    draw = run_page._drawings(fake_results())["learning_curves"]
    hatched, scratch = draw(style.WIDE).axes
    lines = {tuple(line.get_xdata()): line.get_ydata() for line in hatched.lines}
    assert set(lines) == {(1, 2, 3), (3, 4, 5, 6), (3,), (6,)}  # the ends' dots
    assert list(lines[3, 4, 5, 6]) == [0.1, 0.5, 0.3, 0.1]
    assert {tuple(line.get_xdata()) for line in scratch.lines} == {(1, 2, 3), (3,)}


def test_methods_keep_their_colours():
    names = ["one", "full_data", "two", "mothernets", "three", "four", "five", "six"]
    assert len({*style.method_styles(names).values()}) == len(names)
    assert style.method_styles(names)["full_data"] == ("#d55e00", "s")


ONE = {"methods": ("full_data",), "errors": (0.0,), "flops": (1e9,)}
UNUSUAL = {
    "one method, no errors, no validation": ONE | {"validation": False},
    "twenty members, two clusters": {"replicas": 4, "clusters": 2},
    "unknown methods": {"methods": ("a", "mothernets", "b")},
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_unusual_runs(case, tmp_path):
    results = fake_results(**{"replicas": 1} | UNUSUAL[case])
    page = written(results, tmp_path)
    has_plan = "What the networks share" in page.text
    assert has_plan == ("mothernets" in results["methods"])
    validated = "The validation error of every network" in page.text
    assert validated == ("validation error" in page.tables[3][1])
    assert validated == ("no validation" not in case)
    assert len(page.tables) == 4 + len(results["methods"])
    assert len(page.svgs()) == (10 if has_plan else 8)


def test_one_member_of_unknown_notation(tmp_path):
    results = fake_results(("mothernets",), (0.0213,), (1e12,))
    members = results["methods"]["mothernets"]["members"]
    results["methods"]["mothernets"]["members"] = {"V13_1": members["V13_1"]}
    del results["methods"]["mothernets"]["anytime"][1:]
    cluster = results["plan"]["clusters"][0]
    cluster["members"] = cluster["members"][:1]
    cluster["architecture"] = "transformer 12"
    page = written(results, tmp_path)
    assert "The MotherNets ensemble of one network makes 2.1% errors." in page.text
    assert any("Each bar is a network" in svg for svg in page.svgs())


def test_the_same_results_give_the_same_picture(page):
    draw = run_page._drawings(fake_results())["member_errors"]
    with rc_context(style.STYLE):
        assert picture(draw(style.WIDE), draw(style.NARROW)) in page.source


def test_a_failure_leaves_the_old_page(tmp_path, monkeypatch):
    (tmp_path / "report.html").write_text("old")

    def full_disk(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        report.write_report(fake_results(), tmp_path)
    assert (tmp_path / "report.html").read_text() == "old"
