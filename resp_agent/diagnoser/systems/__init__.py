"""Every system that diagnoses, by name: what the tables compare, what `--diagnoser.system` chooses."""

from dataclasses import dataclass, replace

import torch

from resp_agent.diagnoser.classifier import Classifier
from resp_agent.diagnoser.inputs import Inputs
from resp_agent.errors import UserError
from resp_agent.plugins import imported, is_own
from resp_agent.randomness import seed_of
from resp_agent.settings import DiagnoserSettings


@dataclass(frozen=True)
class System:
    """A named system."""

    title: str
    """Its row in the published tables 6 and 7, or its family in table 2. How large it is here, and what it learned
    before, the settings say."""
    modality: str
    """`audio`, `text`, `both, late` or `both`."""
    where: str
    """`module:function` below `resp_agent.diagnoser` that makes the `Classifier` from (settings, inputs); imported when
    it is asked for."""


SYSTEMS: dict[str, System] = {
    "lstm": System("LSTM", "text", "systems.single:lstm"),
    "bert": System("BERT-base", "text", "systems.single:bert"),
    "roberta": System("RoBERTa-base", "text", "systems.single:roberta"),
    "longformer": System("Longformer-base", "text", "systems.single:longformer"),
    "conformer": System("Conformer", "audio", "systems.single:conformer"),
    "whisper": System("Whisper-small encoder", "audio", "systems.single:whisper"),
    "conformer+lstm": System("Conformer + LSTM, concatenated, MLP", "both, late", "systems.late_fusion:conformer_lstm"),
    "conformer+bert": System("Conformer + BERT, concatenated, MLP", "both, late", "systems.late_fusion:conformer_bert"),
    "conformer+bert-voting": System(
        "Conformer + BERT, logit voting", "both, late", "systems.late_fusion:conformer_bert_voting"
    ),
    "weaving": System("Weaving with anchors", "both", "model:weaving"),
    "resnet": System("ResNet-18", "audio", "systems.images:resnet"),
    "cnn6": System("CNN6", "audio", "systems.images:cnn6"),
    "ast": System("AST", "audio", "systems.images:ast"),
    "clap": System("CLAP (HTS-AT)", "audio", "systems.images:clap"),
}


def check_system(name: str) -> None:
    """Raises UserError for a name that no system has, and for one of a user's own that cannot be imported."""
    if is_own(name):
        imported(name)
    elif name not in SYSTEMS:
        raise UserError(f"there is no system {name!r}: choose one of {', '.join(SYSTEMS)}, or your own as module:Class")


def build(settings: DiagnoserSettings, inputs: Inputs, weights_follow: bool = False) -> Classifier:
    """The system that the settings name, with fresh or pretrained weights, and the adversary of an alignment.

    A user's own, `module:Class`, makes a `Classifier` from (settings, inputs) as those here do.

    Fresh weights come from torch's stream; those of the adversary from one of their own, which its seed names, so that
    all others are what they are without it.

    Args:
        weights_follow: all weights are put in afterwards, so those that were pretrained are neither read nor needed.

    Raises:
        UserError: no system has that name, or its pretrained weights are not there.
    """
    check_system(settings.system)
    inputs = replace(inputs, weights_follow=weights_follow)
    where = settings.system if is_own(settings.system) else f"resp_agent.diagnoser.{SYSTEMS[settings.system].where}"
    model = imported(where)(settings, inputs)
    if settings.alignment > 0:
        model.align(seed_of(torch.initial_seed(), "adversary") % 2**63)
    return model
