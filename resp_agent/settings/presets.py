"""Settings by name."""

from resp_agent.errors import UserError
from resp_agent.settings.audio import AudioSettings, SimulationSettings
from resp_agent.settings.diagnoser import DiagnoserSettings, TrainingSettings
from resp_agent.settings.generator import FlowSettings, GeneratorSettings, PlannerSettings
from resp_agent.settings.run import CurriculumSettings, Settings


def tiny() -> Settings:
    """The whole loop on two CPU cores in minutes."""
    return Settings()


def smoke() -> Settings:
    """The smallest loop in which every part works: for checks of code, not of learning."""
    short = TrainingSettings(steps=6, batch=8, warmup=2, checkpoint_every=3)
    return Settings(
        preset="smoke",
        simulation=SimulationSettings(
            train_counts=(10, 6, 4, 4, 3, 3, 3, 3), valid_per_cell=1, test_per_cell=1, duration_s=1.0
        ),
        audio=AudioSettings(clip_s=1.0),
        diagnoser=DiagnoserSettings(width=32, layers=1, training=short),
        generator=GeneratorSettings(
            content="planned",
            units=16,
            griffin_lim_iterations=2,
            planner=PlannerSettings(width=32, layers=1, training=short),
            flow=FlowSettings(width=32, layers=1, euler_steps=2, training=short),
        ),
        curriculum=CurriculumSettings(budget=12, rounds=3, requests_per_round=2, steps_per_round=3),
    )


PRESETS = {"tiny": tiny, "smoke": smoke}


def preset(name: str) -> Settings:
    """The settings of a preset.

    Raises:
        UserError: no preset has that name.
    """
    if name not in PRESETS:
        raise UserError(f"there is no preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]()
