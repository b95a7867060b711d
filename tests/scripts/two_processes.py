"""One of two processes that train one group together; the first prints JSON.

python two_processes.py ADDRESS PROCESS_ID [streamed]
"""

import json
import os
import sys

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
)

import jax

address, process = sys.argv[1], int(sys.argv[2])
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(address, num_processes=2, process_id=process)

from many_devices import largest_difference, make_problem, streamed, train


def main():
    task = make_problem()
    together = train(task, 2, "vmap", jax.devices())
    alone = train(task, 2, "vmap", jax.local_devices()[:1])
    difference = largest_difference(together, alone)
    found = {
        "difference": difference,
        "devices": jax.device_count(),
        "own_devices": jax.local_device_count(),
    }
    if process == 0:
        json.dump(found, sys.stdout)


def main_streamed():
    """One member, so that each batch is divided between the two."""
    stream, opened = streamed(make_problem())
    divided = train(stream, 1, "vmap", jax.devices())
    opened_together = len(opened)
    whole = train(stream, 1, "vmap", jax.local_devices()[:1])
    found = {
        "difference": largest_difference(divided, whole),
        "images_read": [opened_together, len(opened) - opened_together],
    }
    if process == 0:
        json.dump(found, sys.stdout)


if __name__ == "__main__":
    main_streamed() if "streamed" in sys.argv else main()
