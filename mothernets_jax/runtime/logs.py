"""Log lines of a run: our own, and those of libraries only where there is trouble."""

import logging
import sys

import absl.logging


def log_our_stages() -> None:
    """Shows our log lines, and those of libraries only where there is trouble."""
    absl.logging.set_verbosity(absl.logging.WARNING)
    logging.getLogger("mothernets_jax").setLevel(logging.INFO)
    absl.logging.get_absl_handler().addFilter(is_news)
    tell = sys.unraisablehook
    sys.unraisablehook = lambda event: None if _comes_late(event) else tell(event)


def is_news(record: logging.LogRecord) -> bool:
    """Tells whether a log line says something that is not said anyway.

    What a library logs with its traceback, it raises as well: Orbax's threads would
    print pages before our message.
    """
    ours = record.name.startswith("mothernets_jax")
    return ours or not record.exc_info


def _comes_late(event: "sys.UnraisableHookArgs") -> bool:
    """Tells whether an error is only an answer that nobody waits for any more.

    Where Orbax fails to write one array, it leaves; TensorStore's threads then have
    nobody to tell that they are done with the others.
    """
    error = event.exc_value
    return isinstance(error, RuntimeError) and str(error) == "Event loop is closed"


def log_as_host(number: int) -> None:
    """Lets the first host log for all; others log only trouble, with their number.

    Args:
        number: number of this host, from 0.
    """
    if number == 0:
        return

    def name_host(record: logging.LogRecord) -> bool:
        record.msg, record.args = f"host {number}: {record.getMessage()}", ()
        return True

    logging.getLogger("mothernets_jax").setLevel(logging.WARNING)
    absl.logging.get_absl_handler().addFilter(name_host)
