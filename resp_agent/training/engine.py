"""A DeepSpeed engine with a moving average of its weights."""

from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import nn

from resp_agent.errors import RunFailed
from resp_agent.settings import TrainingSettings
from resp_agent.training.distributed import device, join_process_group, on_device, quiet_deepspeed

AVERAGED = "averaged.safetensors"


def deepspeed_config(training: TrainingSettings, world: int) -> dict:
    """What DeepSpeed is told, as a pure function of the settings.

    The loss is the mean over a step's whole batch, however it is split over ranks and micro-batches.

    Raises:
        RunFailed: the batch does not divide over the ranks.
    """
    if training.batch % (world * training.accumulation):
        raise RunFailed(
            f"a batch of {training.batch} does not divide over {world} ranks x {training.accumulation} micro-batches: "
            "change the batch or the number of workers"
        )
    bf16 = training.precision == "bf16"
    return {
        "train_batch_size": training.batch,
        "train_micro_batch_size_per_gpu": training.batch // (world * training.accumulation),
        "gradient_accumulation_steps": training.accumulation,
        "gradient_clipping": training.clipping,
        # bf16 needs fp32 masters, which DeepSpeed keeps from stage 1 on.
        "zero_optimization": {"stage": max(training.zero_stage, 1) if bf16 else training.zero_stage},
        "bf16": {"enabled": bf16},
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 10**9,
    }


class Engine:
    """Trains `model`, whose forward takes a batch and returns its mean loss (a scalar).

    It may have a method `parameter_groups` that gives its parameters in groups, as AdamW takes them; where a group has
    a `rate`, its learning rate is so many times that of the others.

    The average is kept over the fp32 masters, sharded as ZeRO shards them: every rank averages, saves and
    restores its own share.
    """

    def __init__(self, model: nn.Module, training: TrainingSettings):
        self.rank, self.world = join_process_group()
        self.model = model
        self.training = training
        self._config = deepspeed_config(training, self.world)
        optimizer = torch.optim.AdamW(
            _groups(model), lr=training.learning_rate, weight_decay=training.weight_decay, foreach=True
        )
        self._engine, *_ = quiet_deepspeed().initialize(
            model=model.to(device()), optimizer=optimizer, config=self._config, dist_init_required=False
        )
        self._average = [master.detach().clone() for master in self._masters()]

    def step(self, micro_batches: list, learning_rate: float) -> float:
        """One optimizer step on this rank's micro-batches.

        Returns:
            The loss, averaged over ranks and micro-batches.

        Raises:
            RunFailed: the loss is not a finite number.
        """
        for group in self._engine.optimizer.param_groups:
            group["lr"] = learning_rate * group.get("rate", 1.0)
        self._engine.train()
        total = torch.zeros((), device=device())
        for batch in micro_batches:
            loss = self._engine(on_device(batch, device()))
            total += loss.detach().float() / len(micro_batches)
            # Every rank must see the same verdict, or the others would wait in the next collective for ever.
            if self.world == 1 and not torch.isfinite(total):
                break
            self._engine.backward(loss)
            self._engine.step()
        if self.world > 1:
            dist.all_reduce(total)
            total /= self.world
        value = float(total)
        if not torch.isfinite(total):
            raise RunFailed(
                f"the loss became {value} at a learning rate of {learning_rate:g}: lower the rate or raise the "
                "warm-up; the last checkpoint is kept"
            )
        for average, master in zip(self._average, self._masters(), strict=True):
            average.lerp_(master.detach(), 1 - self.training.averaging)
        return value

    def averaged(self) -> dict[str, torch.Tensor]:
        """Averaged weights and buffers in full, fp32 on the CPU. All ranks call it together."""
        masters = [master.data for master in self._masters()]
        kept = [master.clone() for master in masters]
        for master, average in zip(masters, self._average, strict=True):
            master.copy_(average)
        try:
            state = {name: self._full(parameter) for name, parameter in self.model.named_parameters()}
        finally:
            for master, value in zip(masters, kept, strict=True):
                master.copy_(value)
        state.update({name: buffer.detach().cpu().clone() for name, buffer in self.model.named_buffers()})
        return {name: state[name] for name in self.model.state_dict() if name in state}

    def save(self, folder: Path) -> None:
        """Writes this rank's share of optimizer and average, and (rank 0) the averaged weights, into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._engine.save_checkpoint(str(folder), tag="engine", save_latest=False)
        save_file(
            {str(index): average.contiguous() for index, average in enumerate(self._average)},
            folder / f"average-{self.rank:05d}-of-{self.world:05d}.safetensors",
        )
        weights = self.averaged()
        if self.rank == 0:
            save_file({name: value.contiguous() for name, value in weights.items()}, folder / AVERAGED)

    def load(self, folder: Path) -> None:
        """The inverse of `save`, with as many ranks as saved it.

        Raises:
            RunFailed: the checkpoint is not there, or was written by another number of ranks.
        """
        own = folder / f"average-{self.rank:05d}-of-{self.world:05d}.safetensors"
        if not own.exists():
            raise RunFailed(
                f"checkpoint {folder.name} holds no share for rank {self.rank} of {self.world}: "
                "resume with as many diagnoser workers as wrote it"
            )
        path, _ = self._engine.load_checkpoint(str(folder), tag="engine")
        if path is None:
            raise RunFailed(f"checkpoint {folder.name} cannot be read: resume from an earlier one")
        stored = load_file(own)
        for index, average in enumerate(self._average):
            average.copy_(stored[str(index)])

    def _masters(self) -> list[torch.Tensor]:
        """The fp32 tensors that the optimizer steps: this rank's share of them under ZeRO."""
        optimizer = self._engine.optimizer
        for name in ("fp32_partitioned_groups_flat", "single_partition_of_fp32_groups", "fp32_groups_flat_partition"):
            if hasattr(optimizer, name):
                return getattr(optimizer, name)
        return list(self.model.parameters())

    def _full(self, parameter: nn.Parameter) -> torch.Tensor:
        from deepspeed.utils import safe_get_full_fp32_param

        full = safe_get_full_fp32_param(parameter)
        return (parameter if full is None else full).detach().float().cpu().clone()


def _groups(model: nn.Module) -> list[dict]:
    whole = [{"params": model.parameters()}]
    groups = model.parameter_groups() if hasattr(model, "parameter_groups") else whole
    return [group | {"params": [each for each in group["params"] if each.requires_grad]} for group in groups]
