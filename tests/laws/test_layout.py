"""Folders stand on floors, imports go strictly down, and files keep their form."""

import ast
import graphlib
from pathlib import Path

ROOT = Path(__file__).parents[2]

# The house, lowest floor first. A folder, or a file at the top of the package, imports
# what stands on lower floors only. A new one fails until it is given a floor here.
FLOORS = [
    "utils",
    "storage metrics",
    "architectures runtime",
    "presets data models",
    "growth models.imported training.augmentations ensembles.export",
    "training report.plots",
    "ensembles.export",
    "ensembles",
    "config",
    "stages report",
    "methods",
    "runs experiments",
    "api",
    "cli growing sklearn",
    "__init__",
    "__main__",
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names.split()}
ABOVE = {"launch", "configs", "tests", "benchmarks"}

# These load without JAX, and so does all that they import when they are loaded.
JAX_FREE = """
    utils.messages utils.formatting architectures architectures.checks
    architectures.costs presets growth.mothernet growth.alignment growth.best_alignment
    growth.clustering growth.shared_parameters training.schedules config data metrics
    ensembles.combine ensembles.weighting ensembles.summary storage.files
    storage.metrics_log runtime.progress runtime.logs report __init__ experiments
    stages.amounts methods.__init__ methods.budget methods.hatched_recipes runs.outline
    cli __main__
""".split()
JAX = {"jax", "jaxlib", "flax", "optax", "chex", "orbax"}

MOST_LINES = 400  # of a file
MOST_BODY_LINES = 60  # of a function, without its docstring
LONG_FUNCTIONS = {
    "training.branching_step.make_branching_step",  # one derivation, read in one go
    "data.dataset.split",  # one division into parts, from counts to copies
}

# "mothernets_jax.utils.pytrees"; for a package "mothernets_jax.data.__init__"
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(ROOT.glob("mothernets_jax/**/*.py"))
}


def room(name):
    """The entry of FLOOR that a file belongs to: its folder, or itself at the top."""
    parts = name.split(".")[1:]
    return ".".join(parts[:-1]) or parts[-1]


def our_file(target):
    """The file that a dotted name is in; the name itself where it is not ours."""
    stem = target
    while stem:
        for name in (stem, f"{stem}.__init__"):
            if name in FILES:
                return name
        stem = stem.rpartition(".")[0]
    return target


def imports(name, lazy=True):
    """What a file imports; without `lazy`, only what it imports when it is loaded."""
    found = set()
    nodes = [ast.parse(FILES[name].read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        is_lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        )
        if lazy or not is_lazy:
            nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = name.split(".")[: -node.level] if node.level else []
            base += [node.module] if node.module else []
            found |= {".".join([*base, alias.name]) for alias in node.names}
    return {our_file(target) for target in found}


def rooms():
    """Which rooms each room imports from, drawn from the code."""
    found = {room(name): set() for name in FILES}
    for name in FILES:
        found[room(name)] |= {room(t) for t in imports(name) if t in FILES}
    return {here: others - {here} for here, others in found.items()}


def test_every_folder_has_a_floor():
    assert FILES
    assert {room(name) for name in FILES} == set(FLOOR)


def test_imports_go_strictly_down():
    for name in FILES:
        for target in imports(name):
            assert target.split(".")[0] not in ABOVE, f"{name} imports {target}"
            if target in FILES and room(target) != room(name):
                down = FLOOR[room(target)] < FLOOR[room(name)]
                assert down, f"{name} imports {target}, which is no lower"


def test_no_cycles_between_folders_nor_between_files():
    graphlib.TopologicalSorter(rooms()).prepare()  # the error names the cycle
    graph = {name: imports(name) for name in FILES}
    graphlib.TopologicalSorter(graph).prepare()


def test_jax_free_modules_load_without_jax():
    chains = []
    for entry in JAX_FREE:
        own = f"mothernets_jax.{entry}"
        found = [n for n in FILES if n == own or n.startswith(f"{own}.")]
        assert found, f"nothing is called {entry}"
        chains += [[name] for name in found]
    seen = set()
    while chains:
        chain = chains.pop()
        for target in imports(chain[-1], lazy=False):
            assert target.split(".")[0] not in JAX, " -> ".join([*chain, target])
            if target in FILES and target not in seen:
                seen.add(target)
                chains.append([*chain, target])


def test_estimators_of_scikit_learn_are_loaded_by_the_classifier_alone():
    chains = [["mothernets_jax.__init__"]]
    seen = set()
    while chains:
        chain = chains.pop()
        for target in imports(chain[-1], lazy=False):
            assert target.split(".")[0] != "sklearn", " -> ".join([*chain, target])
            if target in FILES and target not in seen:
                seen.add(target)
                chains.append([*chain, target])
    found = imports("mothernets_jax.sklearn", lazy=False)
    assert any(target.startswith("sklearn.") for target in found)


def test_files_and_functions_are_short():
    long = set()
    for name, path in FILES.items():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= MOST_LINES, f"{name}: two ideas in a file?"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                lines = node.end_lineno - node.lineno + 1
                lines -= (ast.get_docstring(node, clean=False) or "").count("\n")
                if lines > MOST_BODY_LINES:
                    long.add(f"{name}.{node.name}".removeprefix("mothernets_jax."))
    assert long == LONG_FUNCTIONS


def test_launch_is_short():
    lines = (ROOT / "launch.py").read_text(encoding="utf-8").count("\n")
    assert 10 < lines < 80


def test_tests_mirror_the_folders():
    """Each file of tests is about a folder; laws cross them, faults are injected."""
    folders = {name.split(".")[0] for name in FLOOR if name != "__init__"}
    for path in (ROOT / "tests").rglob("test_*.py"):
        part = path.relative_to(ROOT / "tests").parts[0]
        folder = part.removeprefix("test_").removesuffix(".py")  # or a file at the top
        assert folder in folders | {"laws", "faults"}, path


def test_configs_open_with_their_command():
    paths = sorted(ROOT.glob("configs/*_ensemble.py")) + [ROOT / "configs/pareto.py"]
    assert len(paths) > 5
    for path in paths:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert "python launch.py --config=" in (docstring or ""), path
