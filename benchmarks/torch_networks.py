"""Networks of torch with random parameters, for comparisons without any weights."""

import torch


def randomise(model: torch.nn.Module) -> torch.nn.Module:
    """Random scales, biases and running statistics; other weights keep their draws.

    Those of a network that has seen no image are zeros and ones, which hide mistakes.
    """
    generator = torch.Generator().manual_seed(0)

    def uniform(tensor, low, high):
        drawn = torch.rand(tensor.shape, generator=generator)
        tensor.copy_(low + (high - low) * drawn)

    with torch.no_grad():
        for module in model.modules():
            if hasattr(module, "running_var"):
                uniform(module.weight, 0.5, 1.5)
                uniform(module.bias, -0.3, 0.3)
                uniform(module.running_mean, -0.3, 0.3)
                uniform(module.running_var, 0.5, 2.0)
            elif getattr(module, "bias", None) is not None:
                uniform(module.bias, -0.3, 0.3)
    return model.eval()
