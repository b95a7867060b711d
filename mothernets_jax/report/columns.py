"""The figures that tables compare methods by, with their paths and formats."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from mothernets_jax.utils.formatting import decimals, percent, quantity


class Column(NamedTuple):
    """A column of a table: a figure of every method.

    Attributes:
        label: heading of the column.
        path: path to the figure in a method's entry in `results.json`, with dots.
        text: function from the figure to the text of a cell.
        varies: whether seeds may differ in it, so that it may have a deviation.
    """

    label: str
    path: str
    text: Callable[[Any], str]
    varies: bool = True


def seconds(number: float) -> str:
    """Seconds as text: whole, or below a hundred to a tenth."""
    return f"{number:,.{1 if number < 100 else 0}f}"


def dollars(number: float) -> str:
    """Money as text, to the cent or to two digits: `$12.30`, `$0.0042`."""
    return f"${number:,.2f}" if number >= 1 or not number else f"${number:.2g}"


def share(fraction: float) -> str:
    """A share of the cost as text: whole percent, or up to 10% to a tenth."""
    return percent(fraction, 0 if fraction > 0.1 else 1)


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _networks(found: Mapping[str, float | str]) -> str:
    """A deep-ensemble equivalent as text: the value, and a line with its bounds."""
    value, low, high = (
        figure if isinstance(figure, str) else f"{figure:.1f}"
        for figure in (found["value"], found["low"], found["high"])
    )
    return value if value == low == high else f"{value}\n{low} to {high}"


def _bytes(number: float) -> str:
    return f"{quantity(number)}B"


NETWORKS = Column("networks", "members", lambda members: str(len(members)), False)
AVERAGE = Column("average error", "ensemble.average.error", percent)
BALANCED = Column("balanced error", "ensemble.average.balanced_error", percent)
VOTE = Column("vote error", "ensemble.vote.error", percent)
ORACLE = Column("oracle error", "ensemble.oracle.error", percent)
MEMBER = Column("member error", "mean_member_error", percent)
FLOPS = Column("train FLOPs", "cost.train_flops", quantity)
OF_FULL_DATA = Column("of full data", "cost.share_of_full_data", share)
EPOCHS = Column("epochs", "cost.epochs", _count)
CLOCKS = (
    Column("train sec", "clocks.train_seconds", seconds),
    Column("compile sec", "clocks.compile_seconds", seconds),
    Column("eval sec", "clocks.eval_seconds", seconds),
)
WORTH = (
    NETWORKS,
    AVERAGE,
    Column("NLL", "ensemble.average.nll", decimals),
    Column("Brier", "ensemble.average.brier", decimals),
    Column("ECE", "ensemble.average.ece", percent),
    Column("disagreement", "diversity.disagreement", percent),
    MEMBER,
    ORACLE,
    FLOPS,
    OF_FULL_DATA,
)
DIFFERENCES = (
    Column("disagreement", "diversity.disagreement", percent),
    Column("covariance", "diversity.covariance", decimals),
    Column("mutual information", "diversity.mutual_information", decimals),
)
AURC = Column("AURC", "risk_coverage.aurc", percent)
DETECTION = (
    Column("AUROC by probability", "ood.auroc_max_probability", decimals),
    Column("AUROC by entropy", "ood.auroc_entropy", decimals),
)
EQUIVALENTS = (
    Column("calibrated NLL", "deep_ensemble_equivalent.nll", decimals),
    Column("independent networks", "deep_ensemble_equivalent.networks", _networks),
)
COSTS = (
    FLOPS,
    OF_FULL_DATA,
    EPOCHS,
    Column("images", "cost.images", quantity),
    CLOCKS[0],
    Column("hatch sec", "clocks.hatch_seconds", seconds),
    *CLOCKS[1:],
    Column("peak memory", "clocks.peak_memory_bytes", _bytes),
    Column("money", "clocks.dollars", dollars),
    Column("parameters", "cost.parameters", quantity),
    Column("inference FLOPs", "cost.inference_flops", quantity),
)
TERMINAL = (
    AVERAGE,
    VOTE,
    ORACLE,
    MEMBER,
    FLOPS,
    OF_FULL_DATA,
    EPOCHS,
    *CLOCKS,
)


def worth_columns(*, unequal_classes: bool) -> tuple[Column, ...]:
    """The columns `WORTH`, for unequal classes with the balanced error."""
    return (NETWORKS, AVERAGE, BALANCED, *WORTH[2:]) if unequal_classes else WORTH


def terminal_columns(*, unequal_classes: bool) -> tuple[Column, ...]:
    """The columns `TERMINAL`, for unequal classes with the balanced error.

    It takes the vote's place, as there is no room for both in 80 characters.
    """
    return tuple(BALANCED if c == VOTE and unequal_classes else c for c in TERMINAL)


def figure(method: Mapping[str, Any], path: str) -> Any:
    """The figure at a path, such as `cost.epochs`, of a method; None if missing."""
    value: Any = method
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def cells(
    columns: Sequence[Column],
    means: Sequence[Mapping[str, Any]],
    spreads: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, str]]:
    """A row for each method; columns without a figure of any method are left out.

    Args:
        columns: columns of the table.
        means: the methods' entries in `results.json`, or means of them over seeds.
        spreads: standard deviations over seeds, with the same structure, for a second
            line of the cells; empty for no second line.

    Returns:
        Rows, the text of each cell by its column's name.
    """
    spreads = spreads or [{}] * len(means)
    columns = [c for c in columns if any(figure(m, c.path) is not None for m in means)]
    rows = []
    for mean, spread in zip(means, spreads, strict=True):
        row = {}
        for column in columns:
            value = figure(mean, column.path)
            row[column.label] = "–" if value is None else column.text(value)
            deviation = figure(spread, column.path) if column.varies else None
            # What every seed costs alike needs no spread; equal errors are a finding.
            exact = column.path.startswith(("cost.", "clocks."))
            if deviation or (deviation is not None and not exact):
                row[column.label] += f"\n± {column.text(deviation)}"
        rows.append(row)
    return rows


def with_shares(
    methods: Mapping[str, Mapping[str, Any]],
) -> dict[str, Mapping[str, Any]]:
    """The methods with their share of full-data training's FLOPs, where it is known.

    Full-data training that failed, and so has no ensemble, gives no shares.
    """
    full_data = methods.get("full_data", {})
    whole = figure(full_data, FLOPS.path) if "ensemble" in full_data else None
    if not whole:
        return dict(methods)
    shared = {}
    for name, method in methods.items():
        part = method["cost"]["train_flops"] / whole
        shared[name] = {
            **method,
            "cost": {**method["cost"], "share_of_full_data": part},
        }
    return shared
