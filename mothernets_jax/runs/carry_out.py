"""A command that works on an experiment, from its settings to its exit code."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import absl.logging
from absl import flags
from rich.console import Console

from mothernets_jax.config.identity import digest
from mothernets_jax.config.settings import Settings
from mothernets_jax.runs.failures import explained
from mothernets_jax.runtime import compilation, devices, distributed, logs
from mothernets_jax.runtime.interruption import InterruptedRunError


class Hosts(NamedTuple):
    """The hosts of a run, as `distributed.together` takes them; alone by default."""

    distributed: bool | None = None
    coordinator: str | None = None
    num_hosts: int | None = None
    host: int | None = None


# What is done with the settings and the run's folder; the console is to print on.
Work = Callable[[Settings, Path, Console], object]


def carry_out(
    read: Callable[[], Settings],
    work: Work,
    *,
    name: str,
    workdir: str | None,
    debug: bool,
    hosts: Hosts | None = None,
    in_words: Callable[[str], str] = str,
) -> None:
    """Works on an experiment; a failure ends the process with one line.

    The exit code is then 2, or 128 and the number of the signal that stopped the run.

    Args:
        read: function that reads and checks the settings.
        work: function that does the work.
        name: the experiment's name, for the folder of a run that has none.
        workdir: the run's folder; None for `runs/`, the name and a digest.
        debug: whether to show the traceback of a failure.
        hosts: the hosts of the run; None for this one alone.
        in_words: function from a message, which names settings as launch.py takes
            them, to that in the words of the command.
    """
    if not flags.FLAGS.is_parsed():  # without them absl logs nothing but a warning
        flags.FLAGS.mark_as_parsed()
    absl.logging.use_absl_handler()
    logs.log_our_stages()
    compilation.use_persistent_cache()
    try:
        settings = read()
        folder = Path(workdir or f"runs/{name}-{digest(settings)}")
        met = distributed.together(*(hosts or Hosts()))
        with met as console, explained(settings, folder):
            devices.check_devices()
            work(settings, folder, console)
    except (ValueError, OSError, InterruptedRunError) as error:
        if debug:
            traceback.print_exc()
        distributed.end_at_once(in_words(str(error)), getattr(error, "exit_code", 2))
