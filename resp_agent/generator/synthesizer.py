"""Requests to clips: planner, flow and vocoder in one, and the shards that clips are written to."""

import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from resp_agent.audio.quality import quality
from resp_agent.corpus.schema import Event, Recording, from_pcm, from_table, to_pcm, to_table
from resp_agent.curriculum.request import Request, Shard
from resp_agent.diagnoser.learner import Checkpoint
from resp_agent.durable import write_atomic
from resp_agent.errors import UserError
from resp_agent.generator.content import Content, compose, content_of_units
from resp_agent.generator.examples import flow_condition, planner_slots
from resp_agent.generator.hardness import Listener, Pull
from resp_agent.generator.material import Material
from resp_agent.generator.patient import TEMPLATE, invent
from resp_agent.generator.planner import PlannerBatch
from resp_agent.generator.style import denormalise, drafted, log_content
from resp_agent.generator.training import FINAL, Models, load_generator, load_parts
from resp_agent.generator.vocoding import make_vocoder
from resp_agent.logs import log
from resp_agent.plugins import imported, is_own
from resp_agent.randomness import stream
from resp_agent.settings import Settings
from resp_agent.storage import fetch
from resp_agent.training.checkpoints import digests, read_progress, verify
from resp_agent.training.distributed import on_device

MOST_AT_ONCE = 32
"""Clips in one batch; a larger request is made in parts, the same ones everywhere."""
SHARDS = "synthetic"
"""Folder of shards below a workspace."""


class Generator(Protocol):
    """Makes the clips of a request. The same request gives the same clips, whoever makes them."""

    fingerprint: str

    def synthesize(self, request: Request) -> list[Recording]:
        """`request.count` clips, in the order of their indices.

        Raises:
            UserError: the generator does not know the label or the style, or cannot make what is asked for.
        """

    def listen(self, diagnoser: Checkpoint) -> None:
        """Clips of some hardness are hard for this diagnoser from now on.

        Raises:
            UserError: the generator cannot be guided, or not by this diagnoser.
        """


class PlannedGenerator:
    """Planner (or a real recording's units), flow and vocoder."""

    def __init__(self, settings: Settings, train: list[Recording], folder: Path):
        self._settings = settings
        self.models: Models = load_generator(settings, folder, train)
        self._vocoder = make_vocoder(settings, folder)
        final = Path(folder) / FINAL
        self._first = Checkpoint(str(final), digests(final))
        self.fingerprint: str = read_progress(final)["fingerprint"]
        self._heard_by: Checkpoint | None = None
        self._listener: Listener | None = None

    def use(self, refreshed: Checkpoint | None) -> None:
        """Synthesizes with the weights of a refresh from now on; None: with the first-trained ones.

        Raises:
            CorruptCheckpoint: a file is not what was written.
        """
        chosen = refreshed or self._first
        folder = Path(chosen.folder)
        verify(folder, chosen.digests)
        load_parts(self.models, folder)
        self.fingerprint = read_progress(folder)["fingerprint"]

    def listen(self, diagnoser: Checkpoint) -> None:
        """See `Generator.listen`."""
        if diagnoser != self._heard_by:
            self._listener = Listener.open(Path(diagnoser.folder), diagnoser.digests, self._settings)
            self._heard_by = diagnoser

    def synthesize(self, request: Request) -> list[Recording]:
        """See `Generator.synthesize`."""
        if request.hardness > 0 and self._listener is None:
            raise UserError(f"a hardness of {request.hardness:g} is for a diagnoser, and none is given: ask for 0")
        return [
            clip
            for first in range(0, request.count, MOST_AT_ONCE)
            for clip in self._make(request, range(first, min(first + MOST_AT_ONCE, request.count)))
        ]

    def _make(self, request: Request, indices: range) -> list[Recording]:
        material, frames = self.models.material, request.frames(self._settings.audio)
        picked = [material.pick(request.label, request.style, _stream(request, index, "content")) for index in indices]
        if request.content == "planned":
            contents = self._plan(request, indices, [content for content, _ in picked], frames)
        else:
            how = self._settings.generator.composition
            contents = [
                compose(material, content, reference, frames, how, _stream(request, index, "composition"))
                for index, (content, reference) in zip(indices, picked, strict=True)
            ]
        log_mels = self._render(request, indices, contents, [reference for _, reference in picked])
        rngs = [_stream(request, index, "phase") for index in indices]
        audio = self._vocoder(log_mels, material.bank[request.style].above, rngs)
        recordings = material.recordings
        clips = [
            clip_of(
                request,
                self.fingerprint,
                index,
                waveform[: request.samples(self._settings.audio)],
                recordings[content.recording],
                recordings[reference],
                content.events,
            )
            for index, waveform, content, (_, reference) in zip(indices, audio, contents, picked, strict=True)
        ]
        # A plan was written with its narrative, and stays with it.
        if request.content == "planned" or not self._settings.generator.composition.invent_patients:
            return clips
        return with_invented_patients(clips, indices, request, material)

    def _plan(self, request: Request, indices: range, picked: list[int], frames: int) -> list[Content]:
        """Contents of units that the planner writes, with the narratives of the picked recordings of the label.

        The first `opening_share` of a plan is the recording's own.
        """
        models, planner = self.models, self._settings.generator.planner
        if models.planner is None:
            raise UserError(
                "this generator was trained for exemplar content and has no planner: "
                "ask it for exemplar content, or train one with --generator.content planned"
            )
        material, slots = models.material, []
        for index, content in zip(indices, picked, strict=True):
            recording = material.recordings[content]
            others = material.bank.references(recording.style, {recording.patient_id}) or [content]
            heard = others[_stream(request, index, "reference").integers(len(others))]
            slots.append(planner_slots(material, heard, planner.style_slots))
        bags = [models.vocabulary.bag(material.recordings[content].narrative) for content in picked]
        words = np.full((len(bags), max(map(len, bags), default=0) or 1), -1, np.int64)
        for row, bag in zip(words, bags, strict=True):
            row[: len(bag)] = bag
        batch = PlannerBatch(
            torch.from_numpy(np.stack(slots)),
            torch.full((len(bags),), models.vocabulary.label(request.label)),
            torch.from_numpy(words),
        )
        opened = round(planner.opening_share * frames)
        opening = np.stack([self._opening(content, opened) for content in picked])
        draws = np.stack([_stream(request, index, "units").random(frames - opened) for index in indices])
        where = next(models.planner.parameters()).device
        units = models.planner.write(
            on_device(batch, where), opening, draws, planner.temperature, planner.top_p, planner.guidance
        )
        # Units were learned from contents of mean level 1, and a label has a level of its own.
        louder = np.exp(material.bank.label_levels[request.label])
        return [
            Content(louder * content_of_units(models.codebook, row), None, (), content)
            for row, content in zip(units, picked, strict=True)
        ]

    def _opening(self, content: int, frames: int) -> np.ndarray:
        """(frames,) units of the start of a recording; a short one is repeated."""
        material = self.models.material
        level = np.exp(material.label_level(content))
        power = material.content(content)[:frames] / level
        return np.resize(self.models.codebook.encode(log_content(power)), frames)

    def _render(self, request: Request, indices: range, contents: list[Content], references: list[int]) -> np.ndarray:
        """(B, T, M) log-mel in the requested style, under the conditions of the references."""
        models, flow = self.models, self._settings.generator.flow
        material, tokens, style = models.material, models.tokens, models.material.bank[request.style]
        conditions = [material.conditions(reference) for reference in references]
        drafts = [
            drafted(content.power, style, own, _stream(request, index, "noise"), content.normal, flow.equalised)
            for index, content, own in zip(indices, contents, conditions, strict=True)
        ]
        coordinates = np.stack([tokens.encode(draft) for draft in drafts])
        told = np.stack([flow_condition(material, style, own) for own in conditions])
        noise = np.stack(
            [
                _stream(request, index, "flow").standard_normal(coordinates.shape[1:]).astype(np.float32)
                for index in indices
            ]
        )
        where = next(models.flow.parameters()).device
        inputs = on_device(tuple(torch.from_numpy(one) for one in (coordinates, told, noise)), where)
        pull = None
        if request.hardness > 0:
            strength, drawn = request.hardness * flow.pull, np.stack(drafts)
            pull = Pull(self._listener, tokens, torch.from_numpy(drawn).to(where), style, strength)
        made = models.flow.sample(*inputs, flow, pull).float().cpu().numpy()
        normal = [tokens.decode(one, draft) for one, draft in zip(made, drafts, strict=True)]
        return denormalise(np.stack(normal), style)


def with_invented_patients(
    clips: list[Recording], indices: Iterable[int], request: Request, material: Material
) -> list[Recording]:
    """The clips of a request, each of a patient of its own, where their narratives are the template's."""
    same = [material.recordings[one] for one in material.of_label(request.label)]
    return [
        replace(clip, **invent(clip, same, _stream(request, index, "patient")))
        if clip.narrative_source == TEMPLATE
        else clip
        for index, clip in zip(indices, clips, strict=True)
    ]


def refuse_hardness(kind: str) -> None:
    """What a generator without a flow answers to a request of some hardness."""
    raise UserError(f"hardness needs a generator that can be guided, which {kind} cannot: ask for a hardness of 0")


def _stream(request: Request, index: int, part: str) -> np.random.Generator:
    return stream(request.seed, "clip", index, part)


def clip_of(
    request: Request,
    generator: str,
    index: int,
    waveform: np.ndarray,
    content: Recording,
    reference: Recording,
    events: tuple[Event, ...] = (),
) -> Recording:
    """A clip as a row: who was heard is told as of its content's recording, how as of its reference's."""
    name, audio = request.clip_id(generator, index), from_pcm(to_pcm(waveform))
    return Recording(
        id=name,
        source="synthetic",
        patient_id=name,
        label=request.label,
        source_label=request.label,
        style=request.style,
        waveform=audio,
        original_sample_rate_hz=reference.original_sample_rate_hz,
        narrative=content.narrative,
        narrative_source=content.narrative_source,
        split="train",
        events=events,
        device=reference.device,
        site=content.site,
        age_years=content.age_years,
        sex=content.sex,
        symptoms=content.symptoms,
        history=content.history,
        quality=quality(audio),
        request={
            **asdict(request),
            "index": index,
            "generator": generator,
            "content_id": content.id or None,
            "reference_id": reference.id or None,
        },
    )


def make_generator(settings: Settings, train: list[Recording], folder: Path) -> Generator:
    """The generator of the settings' kind; `folder` holds the trained one.

    A class of the user's own, `module:Class`, is built with (settings, train, folder) and is a `Generator`.

    Raises:
        UserError: the class cannot be imported, or lacks what a generator has, or the training split cannot serve it.
        RunFailed: a trained one is asked for and is not there.
    """
    # The controls build on this module.
    from resp_agent.generator.oracle import OracleGenerator
    from resp_agent.generator.style_transfer import StyleTransferGenerator

    if is_own(settings.generator.kind):
        own = imported(settings.generator.kind)(settings, train, folder)
        lacking = [name for name in ("fingerprint", "synthesize", "listen") if not hasattr(own, name)]
        if lacking:
            raise UserError(f"{settings.generator.kind!r} is no generator: it has no {' and no '.join(lacking)}")
        return own
    if settings.generator.kind == "oracle":
        return OracleGenerator(settings, train)
    if settings.generator.kind == "style-transfer":
        return StyleTransferGenerator(settings, train)
    return PlannedGenerator(settings, train, folder)


def write_clips(generator: Generator, request: Request, workspace: Path) -> Shard:
    """Makes a request's clips and writes them as one Parquet file, `synthetic/<name>.parquet` below the workspace.

    The file is whole or not there. One that is there is used as it is; one that cannot be read is made again.
    """
    began = time.monotonic()
    name = Path(SHARDS) / f"{request.name(generator.fingerprint)}.parquet"
    path = Path(workspace) / name
    wanted = tuple(request.clip_id(generator.fingerprint, index) for index in range(request.count))
    clips = _read(fetch(path), wanted)
    if clips is None:
        clips = generator.synthesize(request)
        _write(clips, path)
    shard = Shard(name.as_posix(), wanted, sum(clip.duration_s for clip in clips), time.monotonic() - began)
    told = {field: getattr(request, field) for field in ("label", "style", "count", "seed")}
    log("clips made", request=name.stem, **told, cost_s=round(shard.cost_s, 3))
    return shard


def _read(path: Path, wanted: tuple[str, ...]) -> list[Recording] | None:
    if not path.is_file():
        return None
    try:
        clips = from_table(pq.read_table(path))
    except (pa.ArrowInvalid, OSError, ValueError, RuntimeError):
        return None
    return clips if tuple(clip.id for clip in clips) == wanted else None


def _write(clips: list[Recording], path: Path) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(to_table(clips), sink)
    write_atomic(path, sink.getvalue().to_pybytes())
