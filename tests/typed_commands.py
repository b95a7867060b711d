"""Commands as the documentation gives them, checked without being carried out."""

import itertools
import re
import shlex
import sys
import tomllib

from absl import flags
from docs_pages import ROOT

from mothernets_jax import experiments
from mothernets_jax.cli.main import _parser
from mothernets_jax.config import command_line
from mothernets_jax.config.unknown import PATHS, no_setting

# Programs of others, whose arguments are not ours to check.
OTHERS = {"cd", "gcloud", "tensorboard", "uv"}
_MODULE = "mothernets_jax"


def commands(text: str) -> list[list[str]]:
    """The words of each command of a shell script: no pipes, `for` loops at most."""
    text = text.replace("\\\n", " ")
    found = []
    for line in text.split("\n"):
        words = shlex.split(line, comments=True)
        part: list[str] = []
        for word in [*words, "&&"]:
            if word in ("&&", "done") or word.endswith(";"):
                part.append(word.removesuffix(";"))
                own = [w for w in part if w not in ("&&", "done", "do", "")]
                if own and own[0] != "for":
                    found.append(own)
                part = []
            else:
                part.append(word)
    return found


def check(words: list[str]) -> None:
    """Checks one command.

    Raises:
        ValueError: a program, target, file, flag or setting that there is not.
    """
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]  # variables of the environment
    program, *arguments = words
    program = program.removeprefix(".venv/bin/")
    if program == "srun":
        return check(arguments[arguments.index("python") :])
    if program == "mothernets":
        return _check_own(arguments)
    if program == "make":
        return _check_make(arguments)
    if program == "pip":
        return _check_pip(arguments)
    if program == "python" and arguments[0] == "launch.py":
        return _check_launch(arguments[1:])
    if program == "python" and arguments[0] == "-m":
        return _check_module(arguments[1], arguments[2:])
    if program not in OTHERS:
        raise ValueError(f"{program}: expected a program that is known here")


def _check_own(arguments: list[str]) -> None:
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as end:
        if end.code:
            raise ValueError(f"mothernets {arguments}: see above") from None
        return
    for given in getattr(options, "set", []):
        _check_setting(given.partition("=")[0])
    experiment = (getattr(options, "experiment", None) or "").partition(":")[0]
    if experiment and experiment not in experiments.names():
        raise ValueError(f"there is no experiment {experiment}")


def _check_setting(path: str) -> None:
    if path not in PATHS and path.partition(".")[0] not in ("architectures", "prices"):
        raise ValueError(no_setting(path))


def _check_make(arguments: list[str]) -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in (own for own in arguments if "=" not in own):
        if not re.search(rf"^{target}:", text, re.MULTILINE):
            raise ValueError(f"there is no target {target}")


def _check_pip(arguments: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["tool"]["setuptools"]["dynamic"]["optional-dependencies"]
    for previous, own in itertools.pairwise(arguments):
        if previous == "-r" and not (ROOT / own).is_file():
            raise ValueError(f"there is no file {own}")
        extra = re.fullmatch(r"mothernets-jax\[(.*)\]", own)
        if extra and extra[1] not in extras:
            raise ValueError(f"there is no extra {extra[1]}")


def _check_launch(arguments: list[str]) -> None:
    """Parses them as launch.py does, config and overrides included."""
    values = flags.FlagValues()
    source = (ROOT / "launch.py").read_text(encoding="utf-8")
    for name in re.findall(r'DEFINE_bool\("(\w+)"', source):
        flags.DEFINE_bool(name, False, "", flag_values=values)
    for name in re.findall(r'DEFINE_(?:string|integer)\("(\w+)"', source):
        flags.DEFINE_string(name, None, "", flag_values=values)
    sys.modules.pop("config_config", None)  # what was loaded before goes on there
    try:
        command_line.parse(["launch.py", *arguments], values)
    except flags.Error as error:
        raise ValueError(str(error)) from error


def _check_module(module: str, arguments: list[str]) -> None:
    """Checks that a module is there, and knows the flags."""
    if module == _MODULE:
        return _check_own(arguments)
    path = ROOT.joinpath(*module.split("."))
    path = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
    if module in ("pytest", "timeit", "venv", "pip"):
        return None
    source = path.read_text(encoding="utf-8")  # fails where there is no such module
    for other, names in re.findall(
        r"^from benchmarks(?:\.(\w+))? import (.*)$", source, re.MULTILINE
    ):
        for name in [other] if other else names.split(", "):
            source += (ROOT / "benchmarks" / f"{name}.py").read_text(encoding="utf-8")
    for word in arguments:
        if not word.startswith("--") or word == "--":
            continue
        name = word.removeprefix("--").partition("=")[0]
        group, _, setting = name.partition(".")
        known = re.search(rf'"(?:--)?{re.escape(group)}"', source)
        negated = re.search(rf'"{re.escape(group.removeprefix("no"))}"', source)
        if not known and not negated:
            raise ValueError(f"python -m {module} has no flag --{group}")
        if setting:
            _check_setting(setting)
    return None
