"""Settings as frozen dataclasses, and the presets that fill them.

Whatever changes a result is in `Settings`; where it runs is in `Placement` and changes nothing but the time.
"""

from resp_agent.settings.audio import AudioSettings, SimulationSettings
from resp_agent.settings.corpus import CorpusSettings, DecodingSettings, NarrativeSettings, QualitySettings
from resp_agent.settings.diagnoser import DiagnoserSettings, EncoderSettings, TrainingSettings
from resp_agent.settings.generator import CompositionSettings, FlowSettings, GeneratorSettings, PlannerSettings
from resp_agent.settings.plain import fingerprint, from_plain, to_plain
from resp_agent.settings.presets import PRESETS, paper, preset, small, smoke, tiny
from resp_agent.settings.pretraining import PretrainingSettings
from resp_agent.settings.run import CurriculumSettings, Placement, Settings
from resp_agent.settings.vocoder import VocoderSettings

__all__ = [
    "PRESETS",
    "AudioSettings",
    "CompositionSettings",
    "CorpusSettings",
    "CurriculumSettings",
    "DecodingSettings",
    "DiagnoserSettings",
    "EncoderSettings",
    "FlowSettings",
    "GeneratorSettings",
    "NarrativeSettings",
    "Placement",
    "PlannerSettings",
    "PretrainingSettings",
    "QualitySettings",
    "Settings",
    "SimulationSettings",
    "TrainingSettings",
    "VocoderSettings",
    "fingerprint",
    "from_plain",
    "paper",
    "preset",
    "small",
    "smoke",
    "tiny",
    "to_plain",
]
