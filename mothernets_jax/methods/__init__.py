"""The methods: each turns members and settings into a list of stages.

The networks that the ensemble consists of are those named like its members; a method
may train others on the way.
"""

from collections.abc import Callable, Mapping

from mothernets_jax.architectures import Architecture
from mothernets_jax.methods import full_data, mothernets
from mothernets_jax.settings import Settings
from mothernets_jax.stages import Stage, Task

Method = Callable[[Task, Settings, Mapping[str, Architecture]], tuple[Stage, ...]]

METHODS: dict[str, Method] = {
    "mothernets": mothernets.stages,
    "full_data": full_data.stages,
}
