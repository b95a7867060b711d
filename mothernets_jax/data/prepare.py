"""Download a data set of TFDS and prepare it, so that runs can read it offline.

python -m mothernets_jax.data.prepare cifar10
python -m mothernets_jax.data.prepare tfds:beans FOLDER

Needs TensorFlow: pip install -r requirements-prepare.txt. A run does the same by
itself where it can; FOLDER is its `--config.data.dir`.
"""

import argparse
import sys

from mothernets_jax.data import tfds_builder


def main() -> None:
    """Prepares the data set that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m mothernets_jax.data.prepare")
    names = ", ".join(tfds_builder.TFDS_NAMES)
    parser.add_argument("name", help=f"{names}, or {tfds_builder.PREFIX}NAME")
    parser.add_argument("directory", nargs="?", default="", help="default: TFDS's own")
    arguments = parser.parse_args()
    if not tfds_builder.is_tfds(arguments.name):
        parser.error(
            f"unknown data set {arguments.name!r}, expected one of {names}, or "
            f"{tfds_builder.PREFIX}NAME"
        )
    try:
        print(tfds_builder.download_and_prepare(arguments.name, arguments.directory))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
