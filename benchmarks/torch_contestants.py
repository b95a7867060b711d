"""PyTorch's contestants, in a process that needs nothing but torch and numpy.

`torch_process.py` starts it and talks to it in lines of JSON. A request is
{"make": NAME, "kind": KIND, "arguments": {...}} or {"turn": NAME}; an answer is
{"device": ..., "torch": ..., "threads": ...} once at the beginning, then
{"ready": NAME} or {"seconds": ...}, or {"error": ...}.
While it waits for a line it sleeps.
"""

import json
import os
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.functional import conv2d, cross_entropy

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ON_GPU = DEVICE == "cuda"
torch.backends.cudnn.benchmark = True  # all shapes are fixed


class GlobalMean(nn.Module):
    """As AdaptiveAvgPool2d(1), which has no fast rule under vmap."""

    def forward(self, features):
        return features.mean(dim=(2, 3))


def make_network(blocks, classes):
    """A VGG: `blocks` of {"units": [[filter size, width], ...], "pool": bool}."""
    layers, channels = [], 3
    for block in blocks:
        for size, width in block["units"]:
            layers += [
                nn.Conv2d(channels, width, size, padding=size // 2, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            channels = width
        if block["pool"]:
            layers.append(nn.MaxPool2d(2))
    layers += [GlobalMean(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers).to(DEVICE, memory_format=torch.channels_last)


def make_optimiser(parameters):
    return torch.optim.SGD(
        parameters,
        lr=0.01,
        momentum=0.9,
        nesterov=True,
        weight_decay=5e-4,
        fused=ON_GPU,
    )


def make_batches(side, batch, steps, classes):
    """A function that yields an epoch's batches, cropped and flipped on the device."""
    rng = np.random.default_rng(0)
    padded = (batch * steps, side + 8, side + 8, 3)
    images = torch.from_numpy(rng.integers(0, 256, padded, np.uint8))
    images = images.permute(0, 3, 1, 2).to(DEVICE)
    labels = torch.from_numpy(rng.integers(0, classes, batch * steps)).to(DEVICE)

    def batches():
        order = torch.randperm(batch * steps, device=DEVICE).reshape(steps, batch)
        for indices in order:
            row, column = torch.randint(0, 9, (2,)).tolist()  # one crop for the batch
            crop = images[indices][:, :, row : row + side, column : column + side]
            flipped = torch.rand(batch, 1, 1, 1, device=DEVICE) < 0.5
            inputs = torch.where(flipped, crop.flip(3), crop).float()
            inputs = ((inputs - 120) / 60).contiguous(memory_format=torch.channels_last)
            yield inputs, labels[indices]

    return batches


def one_by_one(*, blocks, classes, side, batch, steps, members, compile_mode):
    """Members one after another: `compile_mode` of torch.compile; None for eager."""
    networks = [make_network(blocks, classes) for _ in range(members)]
    optimisers = [make_optimiser(network.parameters()) for network in networks]
    batches = make_batches(side, batch, steps, classes)

    def loss_of(network, inputs, labels):
        with torch.autocast(DEVICE, torch.bfloat16, enabled=ON_GPU):
            return cross_entropy(network(inputs), labels)

    if compile_mode is not None:
        loss_of = torch.compile(loss_of, mode=compile_mode)

    def run():
        for network, optimiser in zip(networks, optimisers, strict=True):
            for inputs, labels in batches():
                optimiser.zero_grad(set_to_none=True)
                loss_of(network, inputs, labels).backward()
                optimiser.step()

    return run


def stacked(*, blocks, classes, side, batch, steps, members, compile_mode):
    """Members side by side: torch.func's stacked parameters and vmap of grad."""
    networks = [make_network(blocks, classes) for _ in range(members)]
    skeleton = make_network(blocks, classes).to("meta")
    params, buffers = stack_module_state(networks)
    optimiser = make_optimiser(params.values())
    batches = make_batches(side, batch, steps, classes)

    def loss_of(params, buffers, inputs, labels):
        with torch.autocast(DEVICE, torch.bfloat16, enabled=ON_GPU):
            logits = functional_call(skeleton, (params, buffers), (inputs,))
            return cross_entropy(logits, labels)

    gradients = vmap(grad(loss_of))
    if compile_mode is not None:
        gradients = torch.compile(gradients, mode=compile_mode)

    def run():
        own_batches = zip(*(batches() for _ in range(members)), strict=True)
        for own in own_batches:  # each member has its own order and crops
            inputs, labels = (torch.stack(parts) for parts in zip(*own, strict=True))
            grads = gradients(params, buffers, inputs, labels)
            for name, parameter in params.items():
                parameter.grad = grads[name]
            optimiser.step()

    return run


def convolution(*, operation, side, inputs, outputs, batch, filter_size, calls):
    """`forward`, `image_gradient` or `kernel_gradient` of a convolution, in a loop."""
    dtype = torch.bfloat16 if ON_GPU else torch.float32

    def draw(*shape):
        array = torch.randn(shape, device=DEVICE, dtype=dtype)
        return array.contiguous(memory_format=torch.channels_last)

    images, grads = draw(batch, inputs, side, side), draw(batch, outputs, side, side)
    kernel = draw(outputs, inputs, filter_size, filter_size)
    padding = [filter_size // 2] * 2
    wanted = [operation == "image_gradient", operation == "kernel_gradient", False]

    @torch.no_grad()
    def run():
        for _ in range(calls):
            if operation == "forward":
                conv2d(images, kernel, padding=padding)
            else:
                torch.ops.aten.convolution_backward(
                    *(grads, images, kernel, None, [1, 1], padding, [1, 1]),
                    *(False, [0, 0], 1, wanted),
                )

    return run


KINDS = {"one_by_one": one_by_one, "stacked": stacked, "convolution": convolution}


def seconds_of(run):
    """How long a call takes until its results are there."""
    started = time.perf_counter()
    run()
    if ON_GPU:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def answer(request, contestants):
    if "turn" in request:
        return {"seconds": seconds_of(contestants[request["turn"]])}
    name = request["make"]
    run = KINDS[request["kind"]](**request["arguments"])
    seconds_of(run)  # compiles, and shows whether it works
    contestants[name] = run
    return {"ready": name}


def main():
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(value):
        print(json.dumps(value), file=answers, flush=True)

    device = torch.cuda.get_device_name() if ON_GPU else DEVICE
    threads = torch.get_num_threads()
    send({"torch": torch.__version__, "device": device, "threads": threads})
    contestants = {}
    for line in sys.stdin:
        try:
            send(answer(json.loads(line), contestants))
        except Exception as error:  # noqa: BLE001 (a compiler may fail in any way)
            send({"error": f"{type(error).__name__}: {error}".splitlines()[0]})


if __name__ == "__main__":
    main()
