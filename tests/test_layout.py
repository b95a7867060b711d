"""Imports go strictly down the floors, without cycles, and files keep their form."""

import ast
import graphlib
from pathlib import Path

ROOT = Path(__file__).parents[1]

# A module imports lower floors only. A new one fails until it is given a floor here.
FLOORS = [
    "wording config_file files",
    "architectures trees channels layers augment metrics schedules optim run_log"
    + " progress devices user_cache freezing sealed_record",
    "arguments",
    "data presets costs alignment checkpoints compilation hosts calibration"
    + " diversity ood weighting settings losses",
    "models best_alignment combine interruption unfinished data_record",
    "meeting ensemble_record moments mothernet training evaluation measures",
    "walk reuse branching",
    "hatching momentum groups clustering",
    "ranges ensemble report",
    "config",
    "stages placement run_folder",
    "chunks task_loading stage_position",
    "group_trainer methods results divergence",
    "strategies",
    "plan stage_run capacity",
    "stage_runner",
    "execution troubles",
    "experiment",
    "__init__",
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names.split()}
ABOVE = {"launch", "configs", "tests", "benchmarks"}

# These load without JAX, and so does all that they import when they are loaded.
JAX_FREE = set(
    "architectures presets costs alignment best_alignment mothernet reuse clustering "
    "arguments schedules settings config ranges wording freezing data combine metrics "
    "config_file files run_log progress user_cache report calibration diversity ood "
    "weighting measures data_record".split()
)
JAX = {"jax", "jaxlib", "flax", "optax", "chex", "orbax"}

# "mothernets_jax.trees"; for a package "mothernets_jax.data.__init__"
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(ROOT.glob("mothernets_jax/**/*.py"))
}


def module(name):
    """The entry of FLOOR that a file belongs to."""
    return name.split(".")[1]


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


def test_every_module_has_a_floor():
    assert FILES
    missing = {module(name) for name in FILES} - set(FLOOR)
    assert not missing, f"give each a place in FLOORS: {sorted(missing)}"


def test_imports_go_strictly_down():
    for name in FILES:
        for target in imports(name):
            assert target.split(".")[0] not in ABOVE, f"{name} imports {target}"
            if target in FILES and module(target) != module(name):
                down = FLOOR[module(target)] < FLOOR[module(name)]
                assert down, f"{name} imports {target}, which is no lower"


def test_no_import_cycles():
    graph = {name: imports(name) for name in FILES}
    graphlib.TopologicalSorter(graph).prepare()  # the error names the cycle


def test_jax_free_modules_load_without_jax():
    chains = [[name] for name in FILES if module(name) in JAX_FREE]
    while chains:
        chain = chains.pop()
        for target in imports(chain[-1], lazy=False):
            assert target.split(".")[0] not in JAX, " -> ".join([*chain, target])
            if target in FILES and target not in chain:
                chains.append([*chain, target])


def test_launch_is_short():
    lines = (ROOT / "launch.py").read_text(encoding="utf-8").count("\n")
    assert 10 < lines < 80


def test_configs_open_with_their_command():
    paths = sorted(ROOT.glob("configs/*_ensemble.py")) + [ROOT / "configs/pareto.py"]
    assert len(paths) > 5
    for path in paths:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert "python launch.py --config=" in (docstring or ""), path
