"""Grounding: where in a recording a phrase is heard.

The phrase stands where the narrative stands in the diagnoser's sequence, so it asks the audio through the same global
tokens and anchors. The diagnoser itself is left as it is: what is said of sounds never reaches a diagnosis.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from resp_agent.diagnoser.classifier import Batch
from resp_agent.diagnoser.grounding_phrases import SOUNDS, WORDS, Sound, read_phrase
from resp_agent.diagnoser.inputs import Example, Inputs, View
from resp_agent.diagnoser.model import Weaving
from resp_agent.diagnoser.weaving import DESCRIPTION
from resp_agent.errors import UserError
from resp_agent.settings import DiagnoserSettings, Settings, from_plain, to_plain
from resp_agent.storage import fetch, shown
from resp_agent.training.distributed import device, on_device
from resp_agent.training.engine import AVERAGED

FILE = "grounder.json"
_SAVED = ("preset", "audio", "diagnoser")
ROWS = 64
"""Windows that are asked at once."""


@dataclass
class Questions:
    """A training batch: windows, each with a phrase as its text, and the answers."""

    batch: Batch
    present: torch.Tensor
    """(B, A) 1 where an audio token holds the phrase's sound."""
    counted: torch.Tensor
    """(B, A) 0 at padding and at tokens that may or may not hold it."""


class Grounder(nn.Module):
    """A woven sequence whose audio tokens are compared with the phrase. Called with questions it gives the loss."""

    def __init__(self, settings: DiagnoserSettings, inputs: Inputs):
        """`inputs` as `phrase_inputs` makes them."""
        super().__init__()
        self.woven = Weaving(settings, inputs)
        self.woven.head = nn.Identity()
        self.asked = nn.Linear(settings.width, settings.width)
        self.heard = nn.Linear(settings.width, settings.width)
        self.prior = nn.Linear(settings.width, 1)

    def forward(self, questions: Questions) -> torch.Tensor:
        """Mean over windows of the mean binary cross-entropy of their counted tokens, a scalar in fp32."""
        logits = self.logits(questions.batch).float()
        loss = binary_cross_entropy_with_logits(logits, questions.present, reduction="none") * questions.counted
        return (loss.sum(dim=1) / questions.counted.sum(dim=1).clamp_min(1)).mean()

    def logits(self, batch: Batch) -> torch.Tensor:
        """(B, A) log-odds that an audio token holds what the phrase names: its state times that of the phrase.

        The state of the phrase is the mean over `[DESCRIPTION]` and its words; products are scaled as in attention.
        """
        states, layout = self.woven.states(batch)
        places = torch.arange(states.shape[1], device=states.device)[None]
        ends = 2 + batch.text_lengths[:, None]
        said = ((places >= DESCRIPTION) & (places < ends)).to(states.dtype)[..., None]
        phrase = (states * said).sum(dim=1) / said.sum(dim=1)
        scores = (self.heard(states) @ self.asked(phrase)[..., None])[..., 0] / states.shape[-1] ** 0.5
        longest = int(layout.is_audio.sum(dim=1).max())
        audio = ends + torch.arange(longest, device=states.device)[None]
        return scores.gather(1, audio.clamp_max(states.shape[1] - 1)) + self.prior(phrase)


@dataclass(frozen=True)
class Relevance:
    """How relevant each moment of a recording is to a phrase."""

    seconds: np.ndarray
    """(A,) centres of the anchors."""
    log_odds: np.ndarray
    """(A,) that a sound of the phrase is heard there."""

    @property
    def values(self) -> np.ndarray:
        """(A,) the same as probabilities."""
        return 1 / (1 + np.exp(-self.log_odds))

    @property
    def peak_s(self) -> float:
        """The most relevant moment, the first of equals."""
        return float(self.seconds[self.log_odds.argmax()])


@dataclass(frozen=True)
class Grounding:
    """A trained grounder and what it needs to answer."""

    model: Grounder
    inputs: Inputs
    settings: Settings
    """Of them `audio` and `diagnoser` say what is heard."""
    taught: tuple[str, ...]
    """Names of the sounds that training held."""

    def ask(self, recordings: Sequence[np.ndarray], phrase: str) -> list[Relevance]:
        """Relevance of each recording's anchors, from its (T, F) frames as the encoder gave them.

        Of a phrase that names several sounds, the likeliest one counts at each moment; of a group, those count that
        training held.

        Raises:
            UserError: the phrase is not understood, or names a sound that training did not hold.
        """
        named = read_phrase(phrase)
        taught = [one for one in named if one.sound.name in self.taught]
        strange = [one for one in named if one.sound.name not in self.taught and not one.group]
        if strange or not taught:
            raise UserError(
                f"{(strange or named)[0].wording!r} was in no training recording of this model, which knows "
                f"{', '.join(self.taught)}"
            )
        asked = [self._ask(recordings, one.wording) for one in taught]
        return [
            Relevance(answers[0].seconds, np.max([one.log_odds for one in answers], axis=0))
            for answers in zip(*asked, strict=True)
        ]

    def anchors(self, frames: int) -> np.ndarray:
        """(A, 2) start and end in seconds of the anchors of so many frames; the last one ends with them."""
        every = self._frames(self.settings.diagnoser.anchor_ms)
        starts = np.arange(0, frames, every)
        return np.stack([starts, np.minimum(starts + every, frames)], axis=1) * self.inputs.frame_ms / 1000

    @torch.inference_mode()
    def _ask(self, recordings: Sequence[np.ndarray], wording: str) -> list[Relevance]:
        text, window = self.inputs.encode(wording), self.inputs.window
        views = [(at, view) for at, frames in enumerate(recordings) for view in self.inputs.windows(heard(frames))]
        answers = [np.full(len(self.anchors(len(frames))), -np.inf) for frames in recordings]
        for first in range(0, len(views), ROWS):
            part = views[first : first + ROWS]
            # A window is centred on itself, as in training.
            cut = [heard(view.example.frames[view.start : view.start + window], text) for _, view in part]
            batch = self.inputs.collate([View(example) for example in cut])
            logits = self.model.logits(on_device(batch, device())).double().cpu().numpy()
            for (at, view), example, row in zip(part, cut, logits, strict=True):
                self._add(answers[at], view.start, len(example.frames), row)
        return [Relevance(self.anchors(len(f)).mean(axis=1), a) for f, a in zip(recordings, answers, strict=True)]

    def _add(self, answer: np.ndarray, start: int, frames: int, logits: np.ndarray) -> None:
        """Raises anchors to the log-odds of the tokens that touch them; a window starts at frame `start`."""
        diagnoser = self.settings.diagnoser
        every, token = self._frames(diagnoser.anchor_ms), self._frames(diagnoser.token_ms)
        for at in range(-(-frames // token)):
            first, last = start + at * token, min(start + (at + 1) * token, start + frames) - 1
            touched = slice(first // every, last // every + 1)
            answer[touched] = np.maximum(answer[touched], logits[at])

    def _frames(self, milliseconds: float) -> int:
        return round(milliseconds / self.inputs.frame_ms)


def heard(frames: np.ndarray, text: tuple[int, ...] = ()) -> Example:
    """(T, F) frames, centred on themselves, with a phrase as their text."""
    return Example("", frames, text, label=-1, style=-1, centre=frames.mean(axis=0))


def phrase_inputs(inputs: Inputs, train: Sequence[np.ndarray]) -> Inputs:
    """A diagnoser's inputs for phrases: their vocabulary in place of its own text, and frames scaled as they spread
    about the mean of their own recording, (T, F) each in `train`."""
    squares = sum(np.square(frames - frames.mean(axis=0), dtype=np.float64).sum(axis=0) for frames in train)
    deviation = np.sqrt(np.maximum(squares / sum(map(len, train)), 1e-6))
    return replace(inputs, vocabulary=WORDS, tokenizer="", centre="recording", deviation=tuple(deviation.tolist()))


def known_sounds(names: Sequence[str]) -> list[Sound]:
    """Sounds by their names, in the order of `SOUNDS`."""
    return [sound for sound in SOUNDS if sound.name in names]


def save_grounding(folder: Path, inputs: Inputs, settings: Settings, taught: Sequence[str]) -> None:
    """Writes what `load_grounding` reads beside the weights."""
    inputs.save(folder)
    plain = to_plain(settings)
    stored = {name: plain[name] for name in _SAVED} | {"taught": list(taught)}
    (folder / FILE).write_text(json.dumps(stored, indent=1))


def load_grounding(path: Path) -> Grounding:
    """A grounder from its folder, or from that of its training, which has it in `model`.

    Raises:
        UserError: there is none, or one of another version.
    """
    folder = next((one for one in (path, path / "model") if fetch(one / FILE).is_file()), None)
    if folder is None or not (fetch(folder) / AVERAGED).is_file():
        raise UserError(f"{shown(path)} holds no grounder: give what `train grounding` printed as its model")
    stored = json.loads((folder / FILE).read_text())
    if set(stored) != {*_SAVED, "taught"}:
        raise UserError(f"the grounder in {folder} was written by another version: train it again")
    taught = tuple(stored.pop("taught"))
    settings, inputs = from_plain(stored), Inputs.load(folder)
    model = Grounder(settings.diagnoser, replace(inputs, weights_follow=True))
    try:
        model.load_state_dict(load_file(folder / AVERAGED))
    except RuntimeError:
        raise UserError(f"the grounder in {folder} was written by another version: train it again") from None
    return Grounding(model.to(device()).eval(), inputs, settings, taught)
