"""Settings by name."""

from resp_agent.errors import UserError
from resp_agent.settings.audio import AudioSettings, SimulationSettings
from resp_agent.settings.diagnoser import DiagnoserSettings, EncoderSettings, TrainingSettings
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
            flow=FlowSettings(width=32, layers=1, solver_steps=2, training=short),
        ),
        curriculum=CurriculumSettings(budget=12, rounds=3, requests_per_round=2, steps_per_round=3),
    )


def small() -> Settings:
    """Pretrained weights that a laptop can train: Whisper-tiny hears, MiniLM reads and is woven into.

    Where content is planned SmolLM2 plans it, by adapters.
    """
    return Settings(
        preset="small",
        threads=2,
        diagnoser=DiagnoserSettings(
            encoder=EncoderSettings(kind="whisper", weights="openai/whisper-tiny.en", pool=2),
            text_model="sentence-transformers/all-MiniLM-L6-v2",
            audio_stem="projection",
            width=384,
            layers=4,
            heads=6,
            token_ms=80.0,
            # 128 tokens: MiniLM's words are used to seeing each other.
            window_ms=10_240.0,
            anchor_ms=80.0,
            text_tokens=64,
            training=TrainingSettings(steps=150, batch=16, learning_rate=3e-4, checkpoint_every=50),
        ),
        generator=GeneratorSettings(
            planner=PlannerSettings(
                model="HuggingFaceTB/SmolLM2-135M",
                adapter_rank=16,
                adapter_alpha=32.0,
                mask_prefix=0.2,
                training=TrainingSettings(steps=300, batch=8, learning_rate=1e-3, averaging=0.98, checkpoint_every=50),
            ),
            flow=FlowSettings(
                width=256,
                layers=6,
                heads=8,
                training=TrainingSettings(steps=600, batch=16, learning_rate=1e-3, averaging=0.99, checkpoint_every=50),
            ),
        ),
        curriculum=CurriculumSettings(steps_per_round=15, learning_rate=1e-4),
    )


def paper() -> Settings:
    """The published sizes, for GPUs: BEATs hears, Longformer reads, as Resp-Agent's release trains them.

    Where content is planned Qwen3 plans it, all of its weights being trained.

    BEATs is not on the hub: its file is looked for in the folders of RESP_AGENT_WEIGHTS.
    """
    return Settings(
        preset="paper",
        audio=AudioSettings(clip_s=10.0),
        diagnoser=DiagnoserSettings(
            encoder=EncoderSettings(kind="beats", weights="BEATs_iter3_plus_AS2M.pt"),
            text_model="allenai/longformer-base-4096",
            audio_stem="projection",
            width=768,
            layers=12,
            heads=12,
            # A patch of BEATs is 160 ms long. With two shifts of the encoder both can be 80 ms.
            token_ms=160.0,
            anchor_ms=160.0,
            # Longformer's own 512 tokens.
            window_ms=81_920.0,
            text_tokens=128,
            drop_text=0.2,
            drop_audio=0.1,
            # Five epochs of 196,654 recordings.
            training=TrainingSettings(
                steps=30_730,
                batch=32,
                learning_rate=1e-5,
                warmup=3000,
                schedule="linear",
                averaging=0.999,
                zero_stage=2,
                precision="bf16",
                checkpoint_every=1000,
            ),
        ),
        generator=GeneratorSettings(
            units=1024,
            planner=PlannerSettings(
                model="Qwen/Qwen3-0.6B-Base",
                style_slots=8,
                narrative_tokens=128,
                mask_prefix=0.2,
                training=TrainingSettings(
                    steps=20_000,
                    batch=32,
                    learning_rate=5e-5,
                    warmup=1000,
                    averaging=0.999,
                    zero_stage=2,
                    precision="bf16",
                    checkpoint_every=1000,
                ),
            ),
            flow=FlowSettings(
                width=768,
                layers=12,
                heads=12,
                training=TrainingSettings(
                    steps=50_000,
                    batch=64,
                    learning_rate=2e-4,
                    warmup=1000,
                    averaging=0.9995,
                    zero_stage=2,
                    precision="bf16",
                    checkpoint_every=1000,
                ),
            ),
        ),
        curriculum=CurriculumSettings(budget=50_000, rounds=10, steps_per_round=1000, learning_rate=1e-5),
    )


PRESETS = {"tiny": tiny, "small": small, "paper": paper, "smoke": smoke}


def preset(name: str) -> Settings:
    """The settings of a preset.

    Raises:
        UserError: no preset has that name.
    """
    if name not in PRESETS:
        raise UserError(f"there is no preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]()
