"""The command `mothernets`, as python -m mothernets_jax."""

import sys

from mothernets_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
