"""Train an ensemble: python launch.py --config=configs/vgg_ensemble.py[:preset]

Fields are overridden as --config.field=value. The same command again continues where
it stopped. On several hosts, the same on each, with --distributed.
"""

import shlex
import signal
import sys
import traceback
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

_CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment's config.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; default: runs/...")
_PLAN = flags.DEFINE_bool("plan", False, "Print what would be done, and stop.")
_DEBUG = flags.DEFINE_bool("debug", False, "Show the traceback of an error.")
flags.DEFINE_bool("distributed", False, "Train on several hosts; JAX finds them.")
flags.DEFINE_string("coordinator", None, "Where it cannot: HOST:PORT of host 0.")
flags.DEFINE_integer("num_hosts", None, "How many hosts there are.")
flags.DEFINE_integer("host", None, "The number of this one, from 0.")


def parse_flags(argv: list[str]) -> list[str]:
    """Parses the flags and loads the config; one line and exit code 2 if that fails."""
    try:
        arguments = flags.FLAGS(argv)
        if len(arguments) > 1:
            raise ValueError(
                f"stray argument {arguments[1]!r}: a setting is --config.FIELD=VALUE"
            )
        if not flags.FLAGS["config"].present:
            raise ValueError("--config is missing, e.g. configs/vgg_ensemble.py")
        _CONFIG.value.to_dict()  # a missing file shows only when the config is touched
    except Exception as error:  # noqa: BLE001 (a config file may fail in any way)
        from mothernets_jax.config.file_errors import explain

        print(f"error: {explain(error)}", file=sys.stderr)
        sys.exit(2)
    return arguments


def main(_argv: list[str]) -> None:
    from mothernets_jax.config.identity import digest
    from mothernets_jax.methods import read_settings  # slow, hence after the flags
    from mothernets_jax.runs import experiment
    from mothernets_jax.runs.failures import explained
    from mothernets_jax.runtime import compilation, distributed, logs
    from mothernets_jax.runtime.interruption import InterruptedRunError

    logs.log_our_stages()
    compilation.use_persistent_cache()

    config = Path(config_flags.get_config_filename(flags.FLAGS["config"])).name
    name = config.replace(".py", "").replace(":", "-")
    command = shlex.join(["python", *sys.argv])
    given = flags.FLAGS
    own = given.distributed, given.coordinator, given.num_hosts, given.host
    try:
        frozen = read_settings(_CONFIG.value)
        workdir = Path(_WORKDIR.value or f"runs/{name}-{digest(frozen)}")
        with distributed.together(*own) as console, explained(frozen, workdir):
            if _PLAN.value:
                experiment.show_plan(frozen, console)
                return
            run = {"name": name, "workdir": workdir, "command": command}
            experiment.run(frozen, console=console, **run)
    except (ValueError, OSError, InterruptedRunError) as error:
        if _DEBUG.value:
            traceback.print_exc()
        distributed.end_at_once(str(error), getattr(error, "exit_code", 2))


if __name__ == "__main__":
    # Until a run notices signals by itself, Ctrl-C ends it as SIGTERM does: in silence.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    app.run(main, flags_parser=parse_flags)
