"""Any causal language model of transformers, with its pretrained weights or to be loaded."""

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from resp_agent.errors import UserError
from resp_agent.settings.checks import refuse

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


def make_language_model(architecture: dict, folder: Path | None = None) -> "PreTrainedModel":
    """The model of a `config.json`, in fp32: with the weights of `folder`, or random ones.

    Raises:
        UserError: transformers has no such model, the folder lacks weights of it, or it can be given no embeddings.
    """
    # Seconds to import, and most runs have no language model.
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind = architecture.get("model_type")
    refuse(kind not in CONFIG_MAPPING, f"transformers knows no model of the kind {kind!r}: give one that it has")
    refuse(
        CONFIG_MAPPING[kind] not in MODEL_FOR_CAUSAL_LM_MAPPING,
        f"a model of the kind {kind!r} is no causal language model: give one that is, such as a llama or a qwen3",
    )
    config = CONFIG_MAPPING[kind].from_dict(architecture)
    if folder:
        model = _pretrained(config, folder)
    else:
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False)
    taken = inspect.signature(model.base_model.forward).parameters
    refuse(
        not {"inputs_embeds", "attention_mask", "position_ids", "cache"} <= set(taken),
        f"a model of the kind {kind!r} takes no embeddings, positions or cache from outside: give one that does, such "
        "as a llama or a qwen3",
    )
    return model


def _pretrained(config: "PretrainedConfig", folder: Path) -> "PreTrainedModel":
    from transformers import AutoModelForCausalLM

    try:
        model, told = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as problem:
        reason = str(problem).split("\n")[0][:200]
        raise UserError(f"{folder} holds no language model that can be read ({reason}): give another") from None
    # Transformers makes up what is missing.
    lacking = sorted(map(str, [*told["missing_keys"], *told["mismatched_keys"]]))
    refuse(
        bool(lacking),
        f"{folder} lacks {len(lacking)} tensors of a {config.model_type}, such as {''.join(lacking[:1])}: give a "
        "whole one",
    )
    return model
