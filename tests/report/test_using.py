"""The lines that load a run's ensemble, as a reader would copy them."""

import ast
import shlex
from pathlib import Path

import pytest
from fake_runs import fake_results

from mothernets_jax.cli import main
from mothernets_jax.report.using import commands, python_lines

ODD = Path("runs/it's mine")


@pytest.mark.parametrize("methods", [("mothernets",), ("mothernets", "full_data")])
def test_the_lines_of_python_load_the_main_method(methods):
    loaded = ast.parse(python_lines(fake_results(methods), ODD)).body[1]
    assert isinstance(loaded, ast.Assign) and isinstance(loaded.value, ast.Call)
    arguments = [ast.literal_eval(argument) for argument in loaded.value.args]
    assert arguments == [str(ODD), *(["mothernets"] if len(methods) > 1 else [])]


@pytest.mark.parametrize("shape", [[8, 8, 1], [1, 1, 30]])
def test_the_commands_are_such_as_the_program_takes(shape):
    results = fake_results(("full_data", "bagging"), (0.03, 0.02))
    results["data"]["input_shape"] = shape
    for line in commands(results, ODD).splitlines():
        program, *arguments = shlex.split(line)
        options = main._parser().parse_args(arguments)
        assert program == "mothernets"
        if arguments[0] == "report":
            assert options.runs == [str(ODD)]
        else:
            assert (options.ensemble, options.method) == (str(ODD), "bagging")
    assert ("predict" in commands(results, ODD)) == (shape == [8, 8, 1])
