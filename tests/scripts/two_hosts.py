"""One of two hosts: prints what on_first and its like give it; host 1 then fails.

python two_hosts.py ADDRESS HOST
"""

import json
import sys

import jax
import numpy as np

from mothernets_jax.runtime import multihost
from mothernets_jax.runtime.distributed import together


def refused(function, *args):
    """The message of the error that a function raises."""
    try:
        function(*args)
    except multihost.StoppedTogetherError as error:
        return str(error)
    return None


def main():
    host = int(sys.argv[2])

    def fail():
        raise OSError(f"no space on {host}")

    def fail_on_host_1():
        return fail() if host == 1 else "mine"

    with together(False, sys.argv[1], 2, host):
        own = {"name": f"host {host}", "figure": 0.1 + host}
        arrays = {"a": np.full((2, 3), host + 0.5), "b": np.arange(3) + host}
        shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), arrays)
        told = multihost.arrays_from_host0(lambda: arrays, shapes)
        found = {
            "told": multihost.run_on_host0(lambda: own),
            "clock": multihost.broadcast_float(host + 2.0),
            "arrays": jax.tree.map(lambda a: np.asarray(a).tolist(), told),
            "held_here": all(a.is_fully_addressable for a in jax.tree.leaves(told)),
            "own": multihost.run_on_every_host(lambda: host),
            "first_failed": refused(multihost.run_on_host0, fail),
            "one_failed": refused(multihost.run_on_every_host, fail_on_host_1),
            "same": refused(multihost.check_same, "the words", "word"),
            "different": refused(multihost.check_same, "the words", f"word {host}"),
        }
        print(json.dumps(found), flush=True)
        if host == 1:
            raise OSError("the disk is gone")
        multihost.run_on_host0(lambda: None)  # never ends, since host 1 never comes


if __name__ == "__main__":
    main()
