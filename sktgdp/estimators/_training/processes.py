"""The processes that train one network together, each on batches of its own.

`accelerate` starts them, and tells each its number and device; `torch.nn.parallel.DistributedDataParallel`
averages their gradients. accelerate's own wrapper of networks (and skorch's ``AccelerateMixin``, which puts
it in the place of the network) is not used: the moving average, the best weights and the guard against
divergence read the plain network, and ``precision`` is set here.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from sktgdp._extras import require
from sktgdp.estimators._state.digest import digest
from sktgdp.estimators._training.devices import resolve_device

__all__ = ["ALONE", "Processes", "join_processes"]

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """The processes of a training, and which of them this is; what one alone gives is left as it was.

    Parameters
    ----------
    n, index : int
    device : torch.device or None
        Of this process, where there are several.
    """

    n: int = 1
    index: int = 0
    device: torch.device | None = None

    def resolve_device(self, device: str) -> torch.device:
        """Turn the parameter ``device`` into that of this process."""
        if self.device is None:
            return resolve_device(device)
        if device not in ("auto", self.device.type):
            raise ValueError(
                f"device={device!r} with data_parallel=True: each process has a device of its own, here "
                f"{str(self.device)!r}, which the launcher chooses. Leave device='auto'."
            )
        return self.device

    def gather(self, value: T) -> list[T]:
        """Give the values of all processes, in each of them."""
        values: list[Any] = [value] * self.n
        if self.n > 1:
            distributed.all_gather_object(values, value)
        return values

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Average numbers, the same ones in every process, over the processes."""
        gathered = self.gather(values)
        return {name: sum(each[name] for each in gathered) / self.n for name in values}

    def check_same(self, **values: Any) -> None:
        """Raise where the processes were given other values than each other."""
        for name, value in values.items() if self.n > 1 else ():
            if len(set(self.gather(digest(value)))) > 1:
                raise ValueError(
                    f"The {self.n} processes were given different {name}. With data_parallel=True give all "
                    "of them the same: each draws batches of its own from all rows."
                )

    def batch_generator(self, generator: torch.Generator) -> torch.Generator:
        """Give the random stream of this process's batches: the common one, or one of its own."""
        if self.index == 0:
            return generator
        (seed,) = np.random.SeedSequence([generator.initial_seed(), self.index]).generate_state(1, np.uint64)
        return torch.Generator(generator.device).manual_seed(int(seed >> 1))

    def replicate(self, module: nn.Module) -> nn.Module:
        """Give what is called in place of the network so that its gradients are averaged."""
        on_cpu = self.device is None or self.device.type == "cpu"
        return DistributedDataParallel(module, device_ids=None if on_cpu else [self.device])

    def settle(self, loss: Tensor) -> Tensor:
        """Make the gradients of all processes not finite where one loss is not: all refuse the step."""
        return loss if self.n == 1 else loss * (1.0 + 0.0 * loss.detach())

    @torch.no_grad()
    def share(self, module: nn.Module) -> None:
        """Give all processes the numbers of the first, buffers too."""
        for value in module.state_dict().values() if self.n > 1 else ():
            distributed.broadcast(value, src=0)


ALONE = Processes()


def join_processes(device: str, *, memory: Any, checkpoint: Any) -> Processes:
    """Find the processes that were launched together with this one.

    Parameters
    ----------
    device : str
        The parameter of the estimator.
    memory, checkpoint
        Refused: each is written under a lock, at which the processes would wait for each other.
    """
    for name, value in {"memory": memory, "checkpoint": checkpoint}.items():
        if value is not None:
            raise ValueError(
                f"{name}={value!r} cannot be used with data_parallel=True: the processes would wait for each "
                f"other at its lock. Leave {name}=None, and keep the fitted model with save."
            )
    accelerate = require("accelerate", "data_parallel=True")
    forced = accelerate.utils.parse_flag_from_env("ACCELERATE_USE_CPU")
    state = accelerate.PartialState(cpu=forced or resolve_device(device).type == "cpu")
    if state.num_processes > 1:
        return Processes(state.num_processes, state.process_index, state.device)
    warnings.warn(
        "data_parallel=True has no effect: this process is alone. Start the script with 'accelerate launch "
        "--multi_gpu script.py', on CPUs with 'torchrun --standalone --nproc-per-node 2 script.py', or leave "
        "data_parallel=False.",
        UserWarning,
        stacklevel=3,
    )
    return ALONE
