"""The setting `grown`: what was changed after a run was finished, change by change.

Each change is a text: `add NAME=NOTATION`, `replicas N`, `drop NAME`, `epochs N` or
`distill NAME epochs N`. All other settings stay as they were, so that what was trained
before is known by them.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from mothernets_jax.architectures import Architecture, parse
from mothernets_jax.architectures.checks import LONGEST_NAME, MOST_MEMBERS, is_name
from mothernets_jax.config.fields import EPOCHS
from mothernets_jax.config.settings import Settings
from mothernets_jax.utils.messages import short_repr

GROWABLE = ("mothernets", "full_data", "bagging")  # methods
MEMBER_NAMES = (
    f"letters, digits and '_' only, at most {LONGEST_NAME}, since folders are named "
    "after it, and not 'mothernet' or 'teacher'"
)
# Names of networks that methods train beside the members.
_TAKEN = r"(mothernet|teacher)(_\d+)?"
_DISTILLED = re.compile(r"(\w+) epochs (\d+)", re.ASCII)
_FORMS = (
    "'add NAME=NOTATION', 'replicas N', 'drop NAME', 'epochs N' or 'distill NAME "
    "epochs N'"
)


class Added(NamedTuple):
    """New members.

    Attributes:
        text: the change as it is in the settings.
        members: their architectures by name.
    """

    text: str
    members: Mapping[str, Architecture]


class Dropped(NamedTuple):
    """A member that leaves the ensemble.

    Attributes:
        text: the change as it is in the settings.
        network: its network's name.
    """

    text: str
    network: str


class Longer(NamedTuple):
    """Epochs for which every member goes on.

    Attributes:
        text: the change as it is in the settings.
        epochs: number of epochs.
        networks: the networks that go on, by the name that they have afterwards.
    """

    text: str
    epochs: int
    networks: Mapping[str, str]


class Distilled(NamedTuple):
    """The ensemble distilled into one of its members, which takes its place.

    Attributes:
        text: the change as it is in the settings.
        epochs: number of epochs for which the member goes on, taught by all.
        network: its network's name.
        student: the name that it has afterwards.
    """

    text: str
    epochs: int
    network: str
    student: str


Change = Added | Dropped | Longer | Distilled


def is_member_name(text: str) -> bool:
    """Tells whether a user may give a network this name."""
    return is_name(text) and not re.fullmatch(_TAKEN, text)


def changes(settings: Settings) -> list[Change]:
    """The changes of a run, with the names of all networks that they concern.

    Args:
        settings: settings that are checked but for `grown`.

    Raises:
        ValueError: a change that is none, or that cannot be made; says which.

    >>> found = changes(Settings(architectures={"A": "mlp 8"}, grown=("epochs 3",)))
    >>> dict(found[0].networks)
    {'A_plus3': 'A'}
    """
    ensemble = _Ensemble(settings)
    found: list[Change] = []
    for number, text in enumerate(settings.grown):
        try:
            found.append(ensemble.changed(text))
        except ValueError as error:
            raise ValueError(
                f"config.grown[{number}] is {short_repr(text)}: {error}"
            ) from None
    _check_methods(settings)
    return found


def _check_methods(settings: Settings) -> None:
    others = [name for name in settings.methods if name not in GROWABLE]
    if settings.grown and others:
        raise ValueError(
            f"config.grown is given, and config.methods has {others[0]!r}, which "
            f"cannot grow: expected {', '.join(GROWABLE)} alone"
        )
    is_longer = any(text.split()[0] == "epochs" for text in settings.grown)
    bags = {"bagging"} | ({"mothernets"} if settings.hatch.bags else set())
    if is_longer and not bags.isdisjoint(settings.methods):
        raise ValueError(
            "config.grown has further epochs, for which members with a bag of images "
            "of their own would draw another: expected methods other than 'bagging', "
            "and config.hatch.bags=False"
        )


class _Ensemble:
    """The members between two changes, and the names that are taken."""

    def __init__(self, settings: Settings):
        """Begins with the members of the settings."""
        self._replicas, self._kinds = settings.replicas, settings.networks
        self._networks = {name: (name, 0) for name in settings.members}  # and epochs
        self._architectures = dict(settings.members)
        self._taken = {*settings.members}

    def changed(self, text: str) -> Change:
        """Makes a change.

        Raises:
            ValueError: it is none, or cannot be made; says what was expected.
        """
        kind, _, rest = text.strip().partition(" ")
        rest = rest.strip()
        if kind == "add" and "=" in rest:
            name, _, notation = rest.partition("=")
            if not is_member_name(name.strip()):
                raise ValueError(f"expected a name of {MEMBER_NAMES}")
            return self._added(text, {name.strip(): parse(notation)})
        if kind == "replicas" and rest.isdecimal():
            return self._replicated(text, int(rest))
        if kind == "drop" and rest:
            return self._dropped(text, rest)
        if kind == "epochs" and rest.isdecimal():
            return self._longer(text, int(rest))
        if kind == "distill" and (found := _DISTILLED.fullmatch(rest)):
            return self._distilled(text, found[1], int(found[2]))
        raise ValueError(f"expected {_FORMS}")

    def _added(self, text: str, members: Mapping[str, Architecture]) -> Added:
        for name in members:
            self._take(name)
            self._networks[name] = name, 0
        self._architectures |= members
        if len(self._networks) > MOST_MEMBERS:
            raise ValueError(f"expected at most {MOST_MEMBERS:,} members")
        return Added(text, members)

    def _replicated(self, text: str, replicas: int) -> Added:
        most = MOST_MEMBERS // len(self._kinds)
        if not self._replicas < replicas <= most:
            raise ValueError(
                f"expected {self._replicas + 1} to {most:,}, as there are "
                f"{self._replicas} of each network of config.architectures"
            )
        new = {
            f"{name}_{number}": architecture
            for name, architecture in self._kinds.items()
            for number in range(self._replicas + 1, replicas + 1)
        }
        self._replicas = replicas
        return self._added(text, new)

    def _dropped(self, text: str, name: str) -> Dropped:
        member = self._member(name)
        if len(self._networks) == 1:
            raise ValueError("expected to leave at least one member")
        network, _ = self._networks.pop(member)
        return Dropped(text, network)

    def _longer(self, text: str, epochs: int) -> Longer:
        _check_epochs(epochs)
        before = {}
        for member, (network, already) in self._networks.items():
            new = self._renamed(member, f"plus{already + epochs}")
            before[new] = network
            self._networks[member] = new, already + epochs
        return Longer(text, epochs, before)

    def _distilled(self, text: str, name: str, epochs: int) -> Distilled:
        _check_epochs(epochs)
        member = self._member(name)
        if len(self._networks) == 1:
            raise ValueError("expected an ensemble of several members, which teach it")
        network, _ = self._networks[member]
        student = self._renamed(member, "distilled")
        self._networks = {student: (student, 0)}
        return Distilled(text, epochs, network, student)

    def _member(self, name: str) -> str:
        """The member that is called so, or whose network is."""
        for member, (network, _) in self._networks.items():
            if name in (member, network):
                return member
        raise ValueError(f"expected one of the members, {', '.join(self._networks)}")

    def _renamed(self, member: str, suffix: str) -> str:
        """Takes a name for the network that a member goes on as."""
        new = f"{member}_{suffix}"
        if not is_name(new):
            raise ValueError(f"expected shorter names of members than {member}")
        self._take(new)
        return new

    def _take(self, name: str) -> None:
        if name in self._taken:
            raise ValueError(f"expected a name other than {name}, which there is")
        self._taken.add(name)


def _check_epochs(epochs: int) -> None:
    if not 1 <= epochs <= EPOCHS:
        raise ValueError(f"expected 1 to {EPOCHS:,} epochs")
