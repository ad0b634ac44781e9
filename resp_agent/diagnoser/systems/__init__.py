"""Every system that diagnoses, by name: what the tables compare, what `--diagnoser.system` chooses."""

import importlib
from dataclasses import dataclass

from resp_agent.diagnoser.classifier import Classifier
from resp_agent.diagnoser.inputs import Inputs
from resp_agent.errors import UserError
from resp_agent.settings import DiagnoserSettings


@dataclass(frozen=True)
class System:
    """A named system."""

    title: str
    """What tables call it."""
    modality: str
    """`audio`, `text`, `both, late` or `both`."""
    where: str
    """`module:class` of a `Classifier` made from (settings, inputs); imported when it is asked for."""


SYSTEMS: dict[str, System] = {
    "weaving": System("Weaving", "both", "resp_agent.diagnoser.model:weaving"),
}


def check_system(name: str) -> None:
    """Raises UserError for a name that no system has."""
    if name not in SYSTEMS:
        raise UserError(f"there is no system {name!r}: choose one of {', '.join(SYSTEMS)}")


def build(settings: DiagnoserSettings, inputs: Inputs) -> Classifier:
    """The system that the settings name, with fresh or pretrained weights.

    Raises:
        UserError: no system has that name, or its pretrained weights are not there.
    """
    check_system(settings.system)
    module, name = SYSTEMS[settings.system].where.split(":")
    return getattr(importlib.import_module(module), name)(settings, inputs)
