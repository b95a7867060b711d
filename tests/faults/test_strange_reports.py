"""Results of strangers make a page in which nothing runs, or are refused in one line.

MOTHERNETS_JAX_DAMAGES=1000 python -m pytest tests/faults/test_strange_reports.py
"""

import hashlib
import json
import os
import random
import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fake_runs import Page
from report.test_results_format import whole_results

from mothernets_jax.report import run_page
from mothernets_jax.report.__main__ import main
from mothernets_jax.report.compare import compare
from mothernets_jax.report.comparison_page import _page, rows_of
from mothernets_jax.report.finished_runs import Run, read_run
from mothernets_jax.report.results_format import check_results

MUTATIONS = int(os.environ.get("MOTHERNETS_JAX_DAMAGES", "40"))
SETTINGS = {"seed": 0, "methods": ["mothernets", "full_data"], "data": {"fold": 0}}
SCRIPT = "<script>alert(1)</script>"
OTHERS = [None, True, -1, 0, 1, 10**30, 1e308, 0.5, "", SCRIPT, [], {}, [[]], {"a": 1}]


def save(folder, results, settings=SETTINGS):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def places(value):
    """Every place in nested values, as the container and the key in it."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, own in list(inner):
        yield value, key
        if isinstance(own, dict | list):
            yield from places(own)


def mutate(results, draw):
    """Deletes, replaces or repeats a value in some results."""
    container, key = draw.choice(list(places(results)))
    how = draw.choice(("delete", "replace", "replace", "script", "elsewhere"))
    if how == "delete":
        del container[key]
    elif how == "replace":
        container[key] = draw.choice(OTHERS)
    elif how == "script":
        container[key] = SCRIPT
    else:
        other, place = draw.choice(list(places(results)))
        container[key] = json.loads(json.dumps(other[place]))


def test_mutated_results_are_shown_or_refused_in_one_line(seed):
    draw, refused = random.Random(seed), 0
    text = json.dumps(whole_results())
    for _ in range(MUTATIONS):
        results = json.loads(text)
        for _ in range(draw.choice((1, 1, 3))):
            mutate(results, draw)
        try:
            check_results(results)
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) < 500
            refused += 1
            continue
        pages = [run_page._page(results, {}, Path("run"))]
        comparison = compare([Run("a", SETTINGS, results)])
        pages.append(_page(comparison, rows_of(comparison), {}, {}))
        for page in pages:
            Page(page)  # whose tags balance
            assert "<script" not in page.casefold()
        run_page._drawings(results)
    assert MUTATIONS // 5 < refused < MUTATIONS


def test_text_is_escaped_wherever_it_stands(tmp_path):
    """Each text that is shown is one that would run, if it were not escaped."""
    results = json.loads(json.dumps(whole_results()).replace("a note", SCRIPT))
    results["name"] = results["data"]["name"] = results["plan"]["apart"][0] = SCRIPT
    results["data"]["class_names"][0] = SCRIPT
    results["provenance"] = {SCRIPT: SCRIPT, "device": SCRIPT}
    for method in results["methods"].values():
        method["ood"]["name"] = method["left_out"]["V13_9"] = SCRIPT
        method["deep_ensemble_equivalent"]["temperature"] = SCRIPT
        method["class_errors"][SCRIPT] = method["class_errors"].pop("0")
    results["methods"][SCRIPT] = results["methods"].pop("full_data")
    results["paired"][0]["second"] = SCRIPT
    folder = save(tmp_path / "run", results)
    assert main([str(folder)]) == 0
    page = (folder / "report.html").read_text("utf-8")
    comparison = compare([read_run(folder)])
    for own in (page, _page(comparison, rows_of(comparison), {}, {})):
        assert "<script" not in own.casefold()
        assert own.count("&lt;script") > 5
        for svg in Page(own).svgs():
            assert "<script" not in svg.casefold()


@pytest.mark.parametrize("name", ["results.json", "config.json", "data.json"])
@pytest.mark.parametrize("kind", ["zeros", "pipe", "folder", "deep", "wide", "holes"])
def test_a_file_that_is_none_is_refused(tmp_path, capsys, name, kind):
    folder = save(tmp_path / "run", whole_results())
    path = folder / name
    path.unlink(missing_ok=True)
    if kind == "zeros":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_text({"deep": "[" * 10**6, "wide": "[[]," * 2**23}.get(kind, ""))
    if kind == "holes":
        os.truncate(path, 2**40)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert main([str(folder)]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1
    assert str(path) in printed.err
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**19  # KiB


def test_without_its_checksum_a_run_is_said_to_be_unverified(
    tmp_path, capsys, unrendered_plots
):
    folder = save(tmp_path / "run", whole_results())
    other = save(tmp_path / "other", whole_results(), {**SETTINGS, "seed": 1})
    said = "have no checksum: nothing tells whether they are as the run wrote"
    assert main([str(folder)]) == 0
    assert f"warning: {folder}: " in (printed := capsys.readouterr().err)
    assert said in printed
    assert said in Page((folder / "report.html").read_text("utf-8")).text
    compared = compare([read_run(folder), read_run(other)])
    assert said in Page(_page(compared, rows_of(compared), {}, {})).text
    for own in (folder, other):
        sum_ = hashlib.sha256((own / "results.json").read_bytes()).hexdigest()
        (own / ".results.sha256").write_text(f"{sum_}  results.json\n")
    compared = compare([read_run(folder), read_run(other)])
    assert said not in Page(_page(compared, rows_of(compared), {}, {})).text
    assert main([str(folder)]) == 0
    assert capsys.readouterr().err == ""
    assert said not in Page((folder / "report.html").read_text("utf-8")).text
    (folder / "results.json").write_text(json.dumps(whole_results(), indent=2))
    assert main([str(folder)]) == 2
    assert "is damaged (it is not what its checksum" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["shape", "zeros", "object", "elsewhere"])
def test_scores_of_strangers_take_no_memory(tmp_path, capsys, kind, unrendered_plots):
    results = whole_results()
    folder = save(tmp_path / "run", results)
    (folder / "test_scores").mkdir()
    path = folder / "test_scores" / "mothernets.npz"
    if kind == "elsewhere":  # a name that leads to a path is no file's
        results["methods"]["../../bomb"] = results["methods"].pop("full_data")
        results["paired"] = []
        save(folder, results)
        (tmp_path / "bomb.npz").write_text("a stranger's")
        assert main([str(folder)]) == 0
        return
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("wrong", "nll"):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                if kind == "shape":
                    np.lib.format.write_array_header_1_0(file, header)
                if kind == "zeros":
                    for _ in range(300):
                        file.write(bytes(2**20))
                if kind == "object":
                    np.lib.format.write_array(file, np.array([{}], object))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert main([str(folder)]) == 2
    assert "mothernets.npz is damaged" in capsys.readouterr().err
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**19
