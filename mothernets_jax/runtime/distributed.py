"""A run on several hosts, which meet, train as one, and end together.

References: `jax.distributed`.
"""

import collections
import contextlib
import os
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import jax
from rich.console import Console

from mothernets_jax.runtime.interruption import InterruptedRunError
from mothernets_jax.runtime.logs import log_as_host
from mothernets_jax.runtime.multihost import StoppedTogetherError, is_host0

MEETING_SECONDS = 300


@contextlib.contextmanager
def together(
    distributed: bool | None,
    coordinator: str | None,
    num_hosts: int | None,
    host: int | None,
    *,
    seconds: float = MEETING_SECONDS,
) -> Iterator[Console]:
    """Meets the other hosts; where this one fails alone, it ends them all.

    To be entered before JAX is used. Without any argument nothing happens.

    Args:
        distributed: whether to take what is not given from the cluster (Cloud TPU,
            Slurm, Kubernetes, Open MPI).
        coordinator: HOST:PORT of the first host; implies `distributed`, as do
            `num_hosts` and `host`.
        num_hosts: number of hosts.
        host: number of this host, from 0.
        seconds: time to wait for the others; after it this process ends, with exit code
            2.

    Yields:
        The console to print on; only the first host's output appears.

    Raises:
        ValueError: the arguments do not fit, no cluster was found, the port is in use,
            or the hosts have different numbers of devices.
    """
    given = {"coordinator": coordinator, "num_hosts": num_hosts, "host": host}
    if not distributed and set(given.values()) == {None}:
        yield Console()
        return
    _check(given)
    _meet(coordinator, num_hosts, host, seconds)
    log_as_host(jax.process_index())
    try:
        yield Console(quiet=not is_host0())
    except (StoppedTogetherError, InterruptedRunError):
        jax.distributed.shutdown()  # all of them come here
        raise
    except BaseException as error:  # noqa: BLE001 (a lone Ctrl-C too)
        # The others wait for this host in the middle of something, and an orderly exit
        # would wait for them: JAX ends them when it misses this one.
        known = isinstance(error, ValueError | OSError)
        if not known:
            traceback.print_exc()
        end_at_once(f"host {jax.process_index()}: {error}", 2 if known else 1)


def _check(given: dict[str, Any]) -> None:
    """Refuses addresses and numbers that cannot be meant."""
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if 0 < len(missing) < len(given):
        raise ValueError(
            f"{' and '.join(missing)} missing: expected --coordinator=HOST:PORT "
            "--num_hosts=N --host=I together, or --distributed alone"
        )
    if missing:
        return
    coordinator, num_hosts, host = given.values()
    name, _, port = coordinator.rpartition(":")
    if not (name and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(
            f"--coordinator={coordinator}: expected HOST:PORT of the first host, a "
            "port from 1 to 65535"
        )
    if not 0 <= host < num_hosts:
        raise ValueError(
            f"--host={host} --num_hosts={num_hosts}: expected a number from 0 to "
            f"{num_hosts - 1}, another one on every host"
        )
    if host == 0:
        try:  # JAX would crash
            socket.create_server(("", int(port))).close()
        except OSError as error:
            raise ValueError(
                f"--coordinator={coordinator}: host 0 cannot listen on port {port} "
                f"({error.strerror}): choose another one"
            ) from None


def _meet(
    coordinator: str | None, num_hosts: int | None, host: int | None, seconds: float
) -> None:
    """Initialises JAX on all hosts."""
    where = f"host {host} of {num_hosts} at {coordinator}" if coordinator else "a host"
    message = (
        f"{where} waited {seconds:g} s for the others: start the same command on every "
        "host, each with its own number, and open the first host's port to them"
    )
    # JAX's own time limit aborts without a word that helps.
    watchdog = threading.Timer(seconds, end_at_once, (message, 2))
    watchdog.daemon = True
    watchdog.start()
    try:
        jax.distributed.initialize(
            coordinator, num_hosts, host, initialization_timeout=int(seconds) + 60
        )
        owners = collections.Counter(d.process_index for d in jax.devices())
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"the hosts cannot be joined ({str(error).splitlines()[0]}): --distributed "
            "finds them on Cloud TPU, Slurm, Kubernetes and Open MPI; elsewhere give "
            "every host --coordinator=HOST:PORT --num_hosts=N --host=I"
        ) from error
    finally:
        watchdog.cancel()
    if len(set(owners.values())) > 1:
        counts = ", ".join(str(owners[i]) for i in sorted(owners))
        raise ValueError(
            f"the hosts have {counts} devices: expected equally many on every host"
        )


def end_at_once(message: str, code: int) -> None:
    """Ends this process with one message, without waiting for other threads or hosts.

    An orderly exit could take minutes: Orbax has threads that wait that long for what
    could not be written.

    Args:
        message: what went wrong.
        code: the process's exit code.
    """
    try:  # where they go may be full
        print(f"error: {message}", file=sys.stderr, flush=True)
        sys.stdout.flush()
    finally:
        os._exit(code)
