"""The config of a command: its file, and the settings that are given beside it.

`--config=FILE[:PRESET]` names the file, `--config.FIELD=VALUE` overrides a field. A
field that there is not is refused with what may be meant, but new names of networks and
of prices are added. Whatever is read must be a plain file: a pipe would be waited for.
"""

import difflib
import keyword
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from mothernets_jax.config.unknown import PATHS, no_setting
from mothernets_jax.utils.messages import is_utf8, safe_name, short_repr

# Settings that hold values by names of the user's, and a value that tells their type.
_OPEN = {"architectures": "", "prices": 0.0}
_OVERRIDE = re.compile(r"--?(?:no)?config\.([^=]*)")
_CONFIG = re.compile(r"--?config(=|$)")
_FLAGFILE = re.compile(r"--?flagfile(?:=(.*))?", re.DOTALL)
_MOST_BYTES = 2**20  # of a file of flags, or of a config


def parse(argv: Sequence[str], values: flags.FlagValues = flags.FLAGS) -> list[str]:
    """Parses a command's flags and loads its config, which is then `values.config`.

    Args:
        argv: the program's name, then its arguments.
        values: the flags that are defined; `config` is added to them.

    Returns:
        The program's name.

    Raises:
        flags.Error: a flag or a setting that there is not, or no config.
        Exception: whatever the config's own code raises.
    """
    for argument in argv:
        if not is_utf8(argument):
            raise flags.Error(
                f"the argument {short_repr(argument)} is not UTF-8, as all names of "
                "files and folders must be: rename them"
            )
    _check_flagfiles(argv)
    config_flags.DEFINE_config_file(
        "config", None, "The experiment's config.", values, sys_argv=list(argv)
    )
    expanded = values.read_flags_from_files(list(argv), force_gnu=False)
    overrides = [m[1] for arg in expanded[1:] if (m := _OVERRIDE.match(arg))]
    if overrides and not any(map(_CONFIG.match, expanded[1:])):
        raise flags.Error("--config is missing, e.g. configs/vgg_ensemble.py")
    flag = values["config"]
    flag.parser = _ConfigParser(inner=flag.parser, overrides=overrides)
    arguments = values(list(argv))
    if len(arguments) > 1:
        raise flags.Error(
            f"stray argument {arguments[1]!r}: a setting is --config.FIELD=VALUE"
        )
    if not flag.present:
        raise flags.Error("--config is missing, e.g. configs/vgg_ensemble.py")
    config: Any = flag.value
    config.to_dict()  # a file that cannot be read shows only now
    return arguments


class _ConfigParser(flags.ArgumentParser):
    """Loads the config, and makes sure that all overridden settings are in it."""

    def __init__(self, *, inner: flags.ArgumentParser, overrides: Sequence[str]):
        self._inner, self._overrides = inner, overrides

    def parse(self, argument: str) -> Any:
        """The config of a file, as `ml_collections` loads it."""
        path = argument.partition(":")[0]
        if not os.path.lexists(path):
            raise flags.Error(_no_config(path))
        _check_plain(path, "the config file")
        config = self._inner.parse(argument)
        if isinstance(config, ConfigDict):
            for override in self._overrides:
                _make_room(config, override)
        return config

    def flag_type(self) -> str:
        """Word for the values in the help."""
        return "config object"


def _make_room(config: ConfigDict, path: str) -> None:
    """Adds a network or a price of a new name, which is given its value later.

    Raises:
        flags.Error: the config has no such setting.
    """
    *groups, name = path.split(".")
    holder: Any = config
    for group in groups:
        holder = holder[group] if _holds(holder, group) else None
    section = ".".join(groups)
    if _holds(holder, name):
        if path not in _OPEN and isinstance(holder[name], ConfigDict):
            raise flags.Error(
                f"config.{path} is a group of settings, of which each is set by "
                f"itself: --config.{path}.{next(iter(holder[name]), 'NAME')}=VALUE"
            )
        return
    if section not in _OPEN or not isinstance(holder, ConfigDict):
        if path in PATHS or section in PATHS and section in _OPEN:
            raise flags.Error(
                f"config.{path} is not in the config file: begin it with "
                "default_config() of mothernets_jax.config.defaults, as "
                "configs/vgg_ensemble.py does"
            )
        raise flags.Error(no_setting(path))
    is_name = name.isidentifier() and not keyword.iskeyword(name)
    if not is_name or hasattr(ConfigDict, name):
        raise flags.Error(
            f"config.{section} cannot be given the name {safe_name(name)} like this: "
            "expected letters, digits and '_', no digit first and no word of Python's. "
            "All of them can be given at once: "
            f"--config.{section}=\"{{'NAME': VALUE}}\""
        )
    with config.unlocked():
        holder[name] = _OPEN[section]


def _holds(holder: Any, name: str) -> bool:
    return isinstance(holder, ConfigDict) and name in holder


def _no_config(path: str) -> str:
    """The message for a config file that is not there, with those that are."""
    there = sorted(map(str, Path("configs").glob("[!_]*.py")))
    stems = {Path(own).stem: own for own in there}
    close = difflib.get_close_matches(Path(path).stem[:100], stems, n=1)
    hint = f" (did you mean {stems[close[0]]}?)" if close else ""
    known = f"one of {', '.join(there)}, or a file of your own" if there else "a file"
    return f"there is no config file {_shown(path)}{hint}: expected {known}"


def _shown(path: str) -> str:
    """A path as messages show it: whole, unless it is none that anyone has typed."""
    return path if path.isprintable() and 0 < len(path) < 300 else short_repr(path)


def _check_flagfiles(argv: Sequence[str]) -> None:
    """Makes sure that files of flags, and those that they name, can be read."""
    waiting, seen = list(_flagfiles(argv)), set()
    while waiting:
        path = os.path.expanduser(waiting.pop())
        if path in seen:
            raise flags.Error(f"--flagfile={path} names itself: leave that line out")
        seen.add(path)
        _check_plain(path, "--flagfile")
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except ValueError:
            raise flags.Error(
                f"--flagfile {path} is no text: expected one flag a line"
            ) from None
        waiting += _flagfiles([line.strip() for line in lines])


def _flagfiles(arguments: Sequence[str]) -> Iterator[str]:
    """The files that arguments, or the lines of such a file, name as files of flags."""
    for i, argument in enumerate(arguments):
        match = _FLAGFILE.fullmatch(argument)
        if match and match[1] is not None:
            yield match[1].strip()
        elif match and i + 1 < len(arguments):
            yield arguments[i + 1]


def _check_plain(path: str, what: str) -> None:
    """Refuses what is no plain file of at most 1 MiB, or cannot be read."""
    expected = "expected a text file that you may read"
    try:
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode):
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise flags.Error(
            f"{what} {_shown(path)} cannot be read ({error.strerror}): {expected}"
        ) from None
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
        found = "no plain file" if status.st_size <= _MOST_BYTES else "too large"
        raise flags.Error(f"{what} {_shown(path)} is {found}: {expected}")
