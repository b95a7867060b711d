"""Train an ensemble: python launch.py --config=configs/vgg_ensemble.py[:preset]

Fields are overridden as --config.field=value. The same command again continues where
it stopped. On several hosts, the same on each, with --distributed.
"""

import shlex
import signal
import sys
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; default: runs/...")
_MIRROR = flags.DEFINE_string("mirror", None, "URL to keep a copy at: s3://, gs://")
_PLAN = flags.DEFINE_bool("plan", False, "Print what would be done, and stop.")
_DEBUG = flags.DEFINE_bool("debug", False, "Show the traceback of an error.")
flags.DEFINE_bool("distributed", False, "Train on several hosts; JAX finds them.")
flags.DEFINE_string("coordinator", None, "Where it cannot: HOST:PORT of host 0.")
flags.DEFINE_integer("num_hosts", None, "How many hosts there are.")
flags.DEFINE_integer("host", None, "The number of this one, from 0.")


def parse_flags(argv: list[str]) -> list[str]:
    """Parses the flags and loads the config; one line and exit code 2 if that fails."""
    from mothernets_jax.config import command_line, file_errors  # slow

    try:
        return command_line.parse(argv)
    except Exception as error:  # noqa: BLE001 (a config file may fail in any way)
        print(f"error: {file_errors.explain(error)}", file=sys.stderr)
        sys.exit(2)


def main(_argv: list[str]) -> None:
    from mothernets_jax.methods import read_settings  # slow, hence after the flags
    from mothernets_jax.runs import experiment
    from mothernets_jax.runs.carry_out import Hosts, carry_out

    config = Path(config_flags.get_config_filename(flags.FLAGS["config"])).name
    name = config.replace(".py", "").replace(":", "-")
    command = shlex.join(["python", *sys.argv])
    given = flags.FLAGS

    def work(settings, workdir, console):
        if _PLAN.value:
            experiment.show_plan(settings, console)
            return
        run = {"name": name, "workdir": workdir, "command": command}
        experiment.run(settings, console=console, mirror=_MIRROR.value, **run)

    carry_out(
        lambda: read_settings(flags.FLAGS.config),
        work,
        name=name,
        workdir=_WORKDIR.value,
        debug=_DEBUG.value,
        hosts=Hosts(given.distributed, given.coordinator, given.num_hosts, given.host),
    )


if __name__ == "__main__":
    # Until a run notices signals by itself, Ctrl-C ends it as SIGTERM does: in silence.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    app.run(main, flags_parser=parse_flags)
