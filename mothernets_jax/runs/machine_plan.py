"""The seconds and dollars that each method takes on a machine, shown as a table."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from mothernets_jax.config.settings import Settings
from mothernets_jax.methods.budget import in_epochs
from mothernets_jax.runs.load_task import load_task
from mothernets_jax.runs.method_plans import method_plans
from mothernets_jax.runs.predicted import Prediction, TableTimes, predict
from mothernets_jax.runs.results import price_of
from mothernets_jax.runs.step_times import DeviceTimes, times_of
from mothernets_jax.runs.timed_here import TimesHere
from mothernets_jax.runtime.compilation import ProgramStore

HERE = "here"
MOST_DEVICES = 1024


class Machine(NamedTuple):
    """A machine that a run is planned for.

    Attributes:
        devices: number of its devices.
        device: a part of their name, or `here` for those of this machine.
        price: dollars for an hour of one device; None for that of the settings.
    """

    devices: int
    device: str = HERE
    price: float | None = None


def show_machine_plan(settings: Settings, console: Console, machine: Machine) -> None:
    """Prints what each method of a run takes on a machine, which need not be this one.

    Args:
        settings: the run's settings.
        console: the console to print on.
        machine: the machine.

    Raises:
        ValueError: a machine that there is not or of which nothing is known, or data or
            networks that cannot be used as the settings say.
    """
    times = check_machine(machine, settings)
    task = load_task(settings)
    settings = in_epochs(settings, task)
    if settings.budget.limit:
        raise ValueError(
            f"config.budget.limit is {settings.budget.limit!r}: what it pays for is "
            "found by timing, when a run begins. Give epochs or FLOPs, of which the "
            "plan for a machine tells the seconds and dollars"
        )
    plans = method_plans(task, settings)
    with contextlib.closing(ProgramStore()) as store:
        if times is not None:
            name, of_stages = times.device, TableTimes(times, task, settings.strategy)
        else:
            name = task.devices[0].device_kind
            of_stages = TimesHere(task, settings.strategy, store)
        predictions = {
            method: [
                predict(plan, task, n, of_stages, placement=settings.placement)
                for n in (1, machine.devices)
            ]
            for method, plan in plans.items()
        }
    price = machine.price
    if price is None:
        price = price_of(name, settings.prices)
    console.print(_table(predictions, machine.devices, name, price))
    for sentence in _remarks(times, name, len(task.devices), machine.devices, price):
        console.print(sentence, highlight=False, markup=False)


def check_machine(machine: Machine, settings: Settings) -> DeviceTimes | None:
    """Makes sure that a run can be planned for a machine.

    Returns:
        What was measured on its kind of device; None for this machine's.

    Raises:
        ValueError: numbers that no machine has, a device on which no steps were timed,
            or none in the run's precision.
    """
    if not 1 <= machine.devices <= MOST_DEVICES:
        raise ValueError(
            f"--devices={machine.devices}: expected a number from 1 to {MOST_DEVICES:,}"
        )
    if machine.price is not None and not 0 <= machine.price < float("inf"):
        raise ValueError(
            f"--price={machine.price}: expected the dollars for an hour of one device, "
            "at least 0"
        )
    if machine.device == HERE:
        return None
    times = times_of(machine.device)
    if settings.precision not in ("auto", times.dtype):
        raise ValueError(
            f"config.precision is {settings.precision!r}, but on {times.device} only "
            f"steps in {times.dtype} were timed: expected 'auto' or {times.dtype!r}"
        )
    return times


def _table(
    predictions: Mapping[str, Sequence[Prediction]],
    devices: int,
    name: str,
    price: float | None,
) -> Table:
    """Table of all methods, a row for each."""
    table = Table(
        title=f"training on {devices} x {name}",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("method", overflow="fold")
    for heading in ("seconds", "on one", "chain", "device-s", "dollars", "timed"):
        table.add_column(heading, justify="right")
    for method, (one, own) in predictions.items():
        paid = devices * own.seconds
        table.add_row(
            method,
            _seconds(own.seconds),
            _seconds(one.seconds),
            _seconds(own.chain_seconds),
            _seconds(paid),
            "no price" if price is None else f"${price * paid / 3600:.2g}",
            f"{own.measured:.0%}",
        )
    return table


def _seconds(seconds: float) -> str:
    """Seconds with three digits, or whole ones.

    >>> _seconds(0.123456), _seconds(1234.56)
    ('0.123', '1,235')
    """
    return f"{seconds:,.0f}" if seconds >= 100 else f"{seconds:.3g}"


def _remarks(
    times: DeviceTimes | None,
    name: str,
    here: int,
    devices: int,
    price: float | None,
) -> Sequence[str]:
    """Sentences on where the figures come from, and what is not in them."""
    counted = (
        "Stages are divided among the devices of one machine as a run divides them. "
        "On one: the seconds on a single device. Chain: the longest row of stages that "
        "wait for one another, which only the division of a stage makes shorter. "
        "Device-seconds and dollars are of all devices until the last stage ends. "
        "Compiling, reading data, evaluation and the report are not counted."
    )
    remarks = [counted]
    if price is not None:
        remarks.append(f"Price: ${price:.4g} for an hour of {name} (--price, prices).")
    if times is None:
        more = "." if devices <= here else "; on more, estimates by device-seconds."
        timed = (
            f"Timed: a few steps of each program on the {here} x {name} of this "
            f"machine, one stage at a time{more}"
        )
        return [*remarks, timed]
    fit = times.fit
    timed = (
        "Timed: the share of device-seconds whose steps were timed "
        f"({times.source}). Others are estimated: {1e6 * fit.layer_seconds:.0f} "
        "microseconds for each layer and step, and FLOPs at "
        f"{1e-12 / fit.flop_seconds:.0f} TFLOP/s, which misses timed steps that it "
        f"does not know by up to {fit.worst_error:.0%}; {times.hatch_seconds:.2g} s "
        "for hatching a member, the median. What devices take to exchange gradients, "
        "where batches are divided among them, was not timed and is not counted."
    )
    return [*remarks, timed]
