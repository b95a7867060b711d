"""Where this library keeps what can be made again, for the user who runs it."""

import os
from pathlib import Path


def user_cache_folder() -> Path:
    """`$XDG_CACHE_HOME/mothernets_jax`, by default under `~/.cache`; not made here."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home, "mothernets_jax")
