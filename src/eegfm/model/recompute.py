"""What is cheap to make again is not kept for the backward pass: less memory in training for little time."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks


def made_again(recipe: Callable[[Tensor], Tensor], x: Tensor, reader: Callable[[Tensor], Tensor]) -> Tensor:
    """Return ``reader(recipe(x))``; for the backward pass ``recipe(x)`` is computed again and not kept.

    Parameters
    ----------
    recipe
        Something cheap, without chance: an activation or a normalisation, which keeps ``x`` itself anyway.
    x
        Its input.
    reader
        A linear layer; it would keep what it reads for its weights' gradient.
    """
    made = recipe(x)
    if not made.requires_grad or torch.compiler.is_compiling():
        return reader(made)  # compilers choose by themselves what to compute again
    address, size, kept = made.data_ptr(), made.numel(), x.detach()

    def pack(saved: Tensor) -> Any:
        if saved.data_ptr() == address and saved.numel() == size:
            return saved.size(), saved.stride()
        return saved

    def unpack(packed: Any) -> Tensor:
        if isinstance(packed, Tensor):
            return packed
        with torch.no_grad():
            return recipe(kept).as_strided(*packed)

    with saved_tensors_hooks(pack, unpack):
        return reader(made)
