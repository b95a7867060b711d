"""Placement of a group on one device, or divided among several.

A group's members lie along one axis of a mesh and the images of a batch along the
other. References: `jax.shard_map`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, Sharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

from mothernets_jax.runtime.devices import Device
from mothernets_jax.training.group_step import BATCH_AXIS, MEMBERS_AXIS


class Placement(NamedTuple):
    """The devices that a group's arrays lie on.

    Attributes:
        mesh: mesh of devices, [members, batch]; None for one device.
        by_member: sharding of arrays with a leading member axis.
        everywhere: sharding of arrays that every device needs whole.
        by_batch: sharding of arrays that are divided as each batch is.
        slots: number of which the number of members must be a multiple.
    """

    mesh: Mesh | None
    by_member: Sharding
    everywhere: Sharding
    by_batch: Sharding
    slots: int


def place(devices: Sequence[Device], members: int, batch_size: int) -> Placement:
    """Divides a group among devices: members first, then batches.

    Members come first, since they never talk to each other.

    Args:
        devices: devices that may be used. Those that a batch cannot be divided among
            stay idle; equally many of each host are used, since all hosts run the same
            programs.
        members: number of members that are stepped together.
        batch_size: images of one member's step; a multiple of the number of hosts.
    """
    of_hosts: dict[int, list[Device]] = {}
    for device in devices:
        of_hosts.setdefault(device.process_index, []).append(device)
    fewest = min(map(len, of_hosts.values()))
    rows, columns = grid(
        fewest * len(of_hosts), members, batch_size, hosts=len(of_hosts)
    )
    if rows * columns == 1:
        one = SingleDeviceSharding(devices[0])
        return Placement(None, one, one, one, 1)
    each = rows * columns // len(of_hosts)
    mesh = jax.make_mesh(
        (rows, columns),
        (MEMBERS_AXIS, BATCH_AXIS),
        axis_types=(AxisType.Auto, AxisType.Auto),
        devices=[device for own in of_hosts.values() for device in own[:each]],
    )
    by_member, everywhere, by_batch = (
        NamedSharding(mesh, spec) for spec in (P(MEMBERS_AXIS), P(), P(BATCH_AXIS))
    )
    return Placement(mesh, by_member, everywhere, by_batch, rows)


def grid(
    devices: int, members: int, batch_size: int, *, hosts: int = 1
) -> tuple[int, int]:
    """Numbers of parts that a group's members and each batch are divided into.

    Their product is the number of devices in use: the most that a batch can be divided
    among, with as many parts of the members as that allows.

    Args:
        devices: number of devices that may be used; a multiple of that of hosts.
        members: number of members that are stepped together.
        batch_size: images of one member's step; a multiple of the number of hosts.
        hosts: number of hosts, equally many devices of each of which are used.

    >>> grid(8, 5, 128), grid(6, 1, 128), grid(6, 3, 128)
    ((4, 2), (1, 4), (3, 2))
    """
    for used in range(devices - devices % hosts, 0, -hosts):
        for rows in range(min(members, used), 0, -1):
            columns, rest = divmod(used, rows)
            if not rest and batch_size % columns == 0:
                return rows, columns
    raise AssertionError("one column a host divides every batch")


def own_places(placement: Placement) -> tuple[tuple[int, ...], int]:
    """The parts of every batch that this host's devices train on, and their number.

    A host whose devices all belong to one part reads that part of each batch alone.
    """
    if placement.mesh is None:
        return (0,), 1
    hosts = np.vectorize(lambda device: device.process_index)(placement.mesh.devices)
    return places_of(hosts, jax.process_index()), hosts.shape[1]


def places_of(hosts: np.ndarray, host: int) -> tuple[int, ...]:
    """The columns of a mesh in which a host has a device.

    Args:
        hosts: int [members, batch], the number of the host of each device in the mesh.
        host: number of one host.

    >>> places_of(np.array([[0, 0, 1, 1], [0, 0, 1, 1]]), 1)
    (2, 3)
    """
    return tuple(np.flatnonzero((hosts == host).any(axis=0)).tolist())


def put(tree: Any, sharding: Sharding) -> Any:
    """Places arrays that every host has whole; each host keeps its own part."""
    if sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)

    def scatter(leaf: jax.Array) -> jax.Array:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(scatter(jax.random.key_data(leaf)))
        values = np.asarray(leaf)
        return jax.make_array_from_callback(values.shape, sharding, values.__getitem__)

    return jax.tree.map(scatter, tree)


def fetch(tree: Any) -> Any:
    """Fetches arrays, divided or not, as whole NumPy arrays onto every host."""
    if all(leaf.is_fully_addressable for leaf in jax.tree.leaves(tree)):
        return jax.device_get(tree)
    return jax.tree.map(np.asarray, multihost_utils.process_allgather(tree, tiled=True))
