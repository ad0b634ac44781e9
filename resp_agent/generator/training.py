"""First training of the generator: styles, units, planner, flow, vocoder; from the training split only, resumable."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from torch import nn

from resp_agent.corpus.schema import Recording
from resp_agent.curriculum.beacon import Beacon
from resp_agent.encoders.units import Codebook
from resp_agent.errors import RunFailed, UserError
from resp_agent.generator.examples import Draw, Drawing, FlowExamples, PlannerExamples, overheard
from resp_agent.generator.flow import Flow, Tokens
from resp_agent.generator.language_planner import LanguagePlanner
from resp_agent.generator.material import Material
from resp_agent.generator.planner import Planner, Vocabulary
from resp_agent.generator.prompts import Prompts
from resp_agent.generator.style import log_content, normalise
from resp_agent.generator.vocos_training import OWN, name_of, train_vocoder
from resp_agent.plugins import imported, is_own
from resp_agent.randomness import seed_of, stream
from resp_agent.settings import Settings, TrainingSettings, fingerprint
from resp_agent.storage import children, fetch, local, publish, remove
from resp_agent.training.checkpoints import PROGRESS, digests, read_progress, verify, write_whole
from resp_agent.training.distributed import device
from resp_agent.training.engine import Engine
from resp_agent.training.fit import fit, warm_linear
from resp_agent.training.unfinished import Unfinished
from resp_agent.weights import locate

FINAL = "weights"
"""Folder of the finished artefacts, below the generator's own."""


@dataclass(frozen=True)
class Models:
    """A generator's parts."""

    material: Material
    codebook: Codebook
    tokens: Tokens
    vocabulary: Vocabulary | Prompts
    planner: Planner | LanguagePlanner | None
    """Of a generator whose content is planned."""
    flow: Flow


def generator_fingerprint(settings: Settings, train: list[Recording]) -> str:
    """What names a generator's clips: its settings, its seed and its training split, not its bits.

    Machines whose weights differ in the last digits thus agree in clip ids.
    """
    parts = [settings.audio, settings.generator, settings.seed, [recording.id for recording in train]]
    if settings.generator.kind == "oracle":
        parts.append(settings.simulation)
    if settings.generator.vocoder.trained:
        parts.append(name_of(local(settings.generator.vocoder.trained)))
    return fingerprint(*parts)


def train_generator(
    settings: Settings,
    train: list[Recording],
    folder: Path,
    progress: Beacon | None = None,
    log: Callable[[dict], None] | None = None,
) -> str:
    """Trains the generator into `folder/weights`, which is whole or not there; does nothing where it is there.

    A training that was killed goes on from its last checkpoint and ends with the same bits. Kinds that learn nothing
    (`oracle`, `style-transfer`) need no training; a class of the user's own that does has a function
    `train(settings, train, folder)`, which finds what it left there before. `progress` shows where it stands; `log` is
    told of every step: `part`, `step`, `steps`, `loss` and `learning_rate`.

    Returns:
        The generator's fingerprint.

    Raises:
        UserError: the training split cannot make a generator; the sentence says why.
        RunFailed: a loss is not finite.
    """
    folder, name = Path(folder), generator_fingerprint(settings, train)
    if is_own(settings.generator.kind):
        learns = getattr(imported(settings.generator.kind), "train", None)
        if learns is not None:
            learns(settings, train, fetch(folder))
            publish(folder)
    if settings.generator.kind != "trained":
        return name
    stored = read_progress(folder / FINAL)
    if stored:
        _same(stored, name, folder)
        return name
    told = progress.at if progress else lambda phase, **where: None
    told("preparing generator training")
    material = Material.of(train, settings.audio)
    _refuse_single_patients(material)
    vocabulary = _vocabulary(settings, material.labels, [one.narrative for one in train])
    codebook, tokens = _fit_codes(settings, material)
    pretrained = locate(settings.generator.planner.model) if isinstance(vocabulary, Prompts) else None
    models = Models(material, codebook, tokens, vocabulary, *networks(settings, tokens, vocabulary, pretrained))
    weights = train_parts(settings, models, Draw(material), folder / FINAL, name, told, log)
    vocoder = settings.generator.vocoder
    if vocoder.kind == "vocos" and vocoder.trained is None:
        train_vocoder(vocoder, settings.audio, settings.seed, train, folder / OWN, progress, log)

    def save_codes(partial: Path) -> None:
        material.bank.save(partial)
        codebook.save(partial)
        save_arrays(vars(tokens), partial / "tokens.safetensors")
        (partial / "vocabulary.json").write_text(json.dumps(vocabulary.plain()))

    told("saving generator")
    write_parts(weights, folder / FINAL, name, save_codes)
    return name


def train_parts(
    settings: Settings,
    models: Models,
    draw: Drawing,
    final: Path,
    name: str,
    told: Callable[..., None],
    log: Callable[[dict], None] | None = None,
) -> dict[str, dict[str, torch.Tensor]]:
    """Trains the planner, where there is one, and the flow from the weights that they have.

    A killed training goes on from what it left beside `final`, the folder that `write_parts` will write.

    Args:
        draw: of the recordings that are learned from.
        name: of what is trained; what a training of another name left is not gone on from.
        told: hears the phase and the step.
        log: see `train_generator`.

    Returns:
        By part, the averaged weights.
    """
    material, codebook, chosen, weights = models.material, models.codebook, settings.generator, {}
    if models.planner is not None:
        writing = PlannerExamples(settings, material, codebook, models.vocabulary, draw)
        planner = _train_part("planner", models.planner, writing, chosen.planner.training, final, name, told, log)
        weights["planner"] = models.planner.merged(planner) if isinstance(models.planner, LanguagePlanner) else planner
    rendering = FlowExamples(settings, material, codebook, models.tokens, draw)
    weights["flow"] = _train_part("flow", models.flow, rendering, chosen.flow.training, final, name, told, log)
    return weights


def write_parts(
    weights: dict[str, dict[str, torch.Tensor]],
    final: Path,
    name: str,
    save_more: Callable[[Path], None] = lambda partial: None,
) -> dict[str, str]:
    """Writes trained parts under a name, and what else `save_more` writes, into the folder `final`: whole or not there.

    What their training left beside it is removed.

    Returns:
        The digests of the folder's files.
    """

    def save(partial: Path) -> None:
        if not _first():
            return
        save_more(partial)
        for part, state in weights.items():
            save_file({key: value.contiguous() for key, value in state.items()}, partial / f"{part}.safetensors")

    written = write_whole(final, save, {"fingerprint": name})
    if _first():
        for left in children(final.parent):
            if left.match(f"{final.name}.*.unfinished"):
                remove(left, PROGRESS)
    return written


def is_trained(folder: Path) -> bool:
    """Whether `folder` holds a whole generator."""
    return read_progress(folder / FINAL) is not None


def load_generator(settings: Settings, folder: Path, train: list[Recording]) -> Models:
    """The trained parts from `folder`, on this process's device, ready to synthesize.

    Raises:
        RunFailed: there is no whole generator there, or it is one of other settings or of another corpus.
        CorruptCheckpoint: a file is not what was written.
    """
    final = Path(folder) / FINAL
    stored = read_progress(final)
    if not stored:
        raise RunFailed(f"{folder} holds no trained generator: train one there first")
    _same(stored, generator_fingerprint(settings, train), Path(folder))
    verify(final, digests(final))
    material = Material.of(train, settings.audio, final)
    codebook = Codebook.load(final)
    tokens = Tokens(**load_arrays(final / "tokens.safetensors"))
    told = json.loads((final / "vocabulary.json").read_text())
    vocabulary = (Prompts if "tokenizer" in told else Vocabulary).from_plain(told)
    models = Models(material, codebook, tokens, vocabulary, *networks(settings, tokens, vocabulary))
    load_parts(models, final)
    return models


def load_parts(models: Models, folder: Path) -> None:
    """Gives planner and flow the weights that `write_parts` wrote, on this process's device, ready to synthesize."""
    for part, model in (("planner", models.planner), ("flow", models.flow)):
        if model is not None:
            model.load_state_dict(load_file(folder / f"{part}.safetensors"))
            model.to(device()).eval()


def _first() -> bool:
    """Whether this is the only rank, or the first of several: the one that writes what all ranks hold alike."""
    return not dist.is_initialized() or dist.get_rank() == 0


def _same(stored: dict, name: str, folder: Path) -> None:
    if stored.get("fingerprint") != name:
        raise RunFailed(
            f"{folder} holds the generator {stored.get('fingerprint')}, which is not {name} (other settings or "
            "another corpus): give another folder"
        )


def _refuse_single_patients(material: Material) -> None:
    bank = material.bank
    if not any(bank.references(one.style, {one.patient_id}) for one in material.recordings):
        raise UserError(
            f"each style of the training split ({', '.join(bank.names)}) was heard in one patient only, so "
            "nothing can serve as a style reference: add recordings of a second patient"
        )


def _fit_codes(settings: Settings, material: Material) -> tuple[Codebook, Tokens]:
    """Units are fitted on contents as they are known from every style: a sound has one codebook in all of them."""
    chosen, seed = settings.generator, settings.seed
    draw, contents, normals = Draw(material), [], []
    for index in range(len(material.recordings)):
        # Drawn as in training, half of them label by label: common breathing leaves units to rare sounds.
        rng = stream(seed, "units", index)
        recording = draw(rng)
        for keep in (1.0, 0.0):
            window, content, _ = overheard(material, recording, keep, rng)
            contents.append(log_content(content))
        normals.append(normalise(window, material.style(recording)))
    codebook = Codebook.fit(np.concatenate(contents), chosen.units, seed, chosen.unit_components)
    return codebook, Tokens.fit(normals, chosen.flow.frames_per_token, chosen.flow.components)


def _vocabulary(settings: Settings, labels: tuple[str, ...], narratives: list[str]) -> Vocabulary | Prompts:
    planner, units = settings.generator.planner, settings.generator.units
    if planner.model and settings.generator.content == "planned":
        return Prompts.fit(units, labels, planner)
    return Vocabulary.fit(units, labels, narratives, planner.narrative_words)


def networks(
    settings: Settings, tokens: Tokens, vocabulary: Vocabulary | Prompts, pretrained: Path | None = None
) -> tuple[Planner | LanguagePlanner | None, Flow]:
    """Planner and flow as a training finds them: random but for the planner's pretrained weights, where they are."""
    mels, seed, planner = settings.audio.mels, settings.seed, None
    if settings.generator.content == "planned":
        torch.manual_seed(seed_of(seed, "planner", "weights") % 2**63)
        chosen = settings.generator.planner
        if isinstance(vocabulary, Prompts):
            planner = LanguagePlanner(chosen, vocabulary, 4 * mels, pretrained)
        else:
            planner = Planner(chosen, vocabulary, 4 * mels)
    torch.manual_seed(seed_of(seed, "flow", "weights") % 2**63)
    return planner, Flow(settings.generator.flow, len(tokens.basis), 4 * mels + 1)


def _train_part(
    part: str,
    model: nn.Module,
    examples: PlannerExamples | FlowExamples,
    training: TrainingSettings,
    final: Path,
    name: str,
    told: Callable[..., None],
    log: Callable[[dict], None] | None,
) -> dict[str, torch.Tensor]:
    """The averaged weights of a part, trained from its last checkpoint; one that is done is only read from it."""
    engine, rate = Engine(model, training), warm_linear(training)
    unfinished = Unfinished(engine, final.with_name(f"{final.name}.{part}"))
    stored = unfinished.resume(fingerprint=name)

    def after_step(step: int, loss: float) -> None:
        told(f"training {part}", step=step)
        if log:
            log({"part": part, "step": step, "steps": training.steps, "loss": loss, "learning_rate": rate(step - 1)})
        if step % training.checkpoint_every == 0 or step == training.steps:
            told(f"checkpointing {part}", step=step)
            unfinished.save({"step": step, "fingerprint": name})

    fit(engine, examples, stored["step"] if stored else 0, training.steps, rate, after_step)
    return engine.averaged()
