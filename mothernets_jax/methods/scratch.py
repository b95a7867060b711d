"""What all methods do: begin at random, and bring equal architectures together."""

from collections.abc import Callable, Iterable, Mapping

from mothernets_jax.architectures import Architecture
from mothernets_jax.compilation import Executables
from mothernets_jax.models import init
from mothernets_jax.stages import Start, Task
from mothernets_jax.training import MemberState, new_state
from mothernets_jax.trees import named_key


def same_architecture(
    names: Iterable[str], architectures: Mapping[str, Architecture]
) -> dict[Architecture, tuple[str, ...]]:
    """Names grouped by architecture, in the order of the first of each."""
    groups: dict[Architecture, tuple[str, ...]] = {}
    for name in names:
        architecture = architectures[name]
        groups[architecture] = (*groups.get(architecture, ()), name)
    return groups


def start_at_random(
    task: Task, method: str, architecture: Architecture, names: tuple[str, ...]
) -> Callable[[Mapping[str, MemberState], Executables], Start]:
    """A stage's start from random initial variables."""

    def start(trained: Mapping[str, MemberState], executables: Executables) -> Start:
        states = {}
        for name in names:
            key = named_key(task.key, method, name, "init")
            variables = init(architecture, key, task.input_shape, task.num_classes)
            states[name] = new_state(variables)
        return Start(states, checks={})

    return start


def label_of(names: tuple[str, ...]) -> str:
    """A stage's label: its only member, or the first and the last of several."""
    return names[0] if len(names) == 1 else f"{names[0]}-{names[-1]}"
