"""The rows of tables 6 and 7 and of the ablation: what is trained for each, and what was published of it."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass

from resp_agent.published import published
from resp_agent.settings import DiagnoserSettings, EncoderSettings
from resp_agent.weights import locate_text_model

WEAVING = "Weaving with anchors"
"""As in the paper it hears through a frozen pretrained encoder, which is Whisper's here unless the run's settings name
one; the Conformers of tables 6 and 7 learn theirs from scratch."""


@dataclass(frozen=True)
class Published:
    """What the paper reports of a row, as shares of 1."""

    accuracy: float
    macro_f1: float
    tail_f1: float | None = None


@dataclass(frozen=True)
class Row:
    """A row of a table."""

    title: str
    modality: str
    settings: DiagnoserSettings
    """Those of the run, with what makes the row: nothing else differs between rows."""
    published: Published | None = None
    """None: the paper has no such row."""

    @property
    def pretraining(self) -> str:
        """What the row learned from before this training, in a phrase."""
        known = self.settings
        parts = []
        if self.modality != "text":
            parts += [f"{known.encoder.weights}, frozen"] if known.encoder.kind != "log-mel" else []
            parts += [f"audio stem {known.stem_weights}"] if known.stem_weights and known.system != "whisper" else []
        if self.modality != "audio" and known.text_model:
            parts.append(f"text {known.text_model}")
        return "; ".join(parts) or "from scratch"


def table6(base: DiagnoserSettings, whisper: str, stem: str | None = None) -> list[Row]:
    """One modality against weaving.

    Args:
        base: settings of the run.
        whisper: weights of the Whisper encoder.
        stem: a pretrained Conformer stem; with one, there are rows that start from it.
    """
    make = _maker(base)
    rows = [
        make("LSTM", system="lstm", text_model=None),
        make("BERT-base", system="bert", text_model=_text_model(base, "bert")),
        make("RoBERTa-base", system="roberta", text_model=_text_model(base, "roberta")),
        make("Longformer-base", system="longformer"),
        make("Conformer", system="conformer"),
        make("Whisper-small encoder", system="whisper", encoder=_whisper(base, whisper)),
        make(WEAVING, system="weaving", anchors=True, encoder=_frozen(base, whisper)),
    ]
    if stem:
        start = {"audio_stem": "conformer", "stem_weights": stem}
        rows.insert(5, _beside(rows[4], "Conformer, pretrained", **start))
        rows += _stems(rows[-1], base, start)
    return rows


def table7(base: DiagnoserSettings, whisper: str, stem: str | None = None) -> list[Row]:
    """Late fusion against weaving; see `table6`."""
    make, bert = _maker(base), _text_model(base, "bert")
    rows = [
        make("Conformer + LSTM, concatenated, MLP", system="conformer+lstm", text_model=None),
        make("Conformer + BERT, concatenated, MLP", system="conformer+bert", text_model=bert),
        make("Conformer + BERT, logit voting", system="conformer+bert-voting", text_model=bert),
        make(WEAVING, system="weaving", anchors=True, encoder=_frozen(base, whisper)),
    ]
    return rows + (_stems(rows[-1], base, {"audio_stem": "conformer", "stem_weights": stem}) if stem else [])


def ablation(base: DiagnoserSettings, whisper: str) -> list[Row]:
    """Fusion, text and anchors, and the losses that Resp-Agent compares without synthesis; all on the same frames."""
    rows = []
    for line in published("ablation"):
        late, anchors = line["fusion"] == "late", line["anchors"] == "yes"
        title = f"{'Late fusion' if late else 'Weaving'}, {line['text']}, {'' if anchors else 'no '}anchors"
        settings = dataclasses.replace(
            base,
            system="conformer+bert" if late else "weaving",
            text="narrative" if line["text"] == "narrative" else "metadata",
            text_model=_text_model(base, "bert") if late else base.text_model,
            encoder=_frozen(base, whisper),
            # Late fusion has no anchors whatever the setting says: one value makes its trials the same.
            anchors=anchors or late,
            loss="cross-entropy",
        )
        modality = "both, late" if late else "both"
        rows.append(Row(title, modality, settings, _figures(line)))
    for line in published("losses")[1:]:
        rows.append(_beside(rows[5], f"{WEAVING}, {line['loss']} loss", _figures(line), loss=line["loss"]))
    return rows


def _maker(base: DiagnoserSettings) -> Callable[..., Row]:
    known = {line["system"]: line for line in published("table6_7")}

    def make(title: str, **changes) -> Row:
        line = known[title]
        return Row(title, line["modality"], dataclasses.replace(base, **changes), _figures(line))

    return make


def _beside(row: Row, title: str, figures: Published | None = None, **changes) -> Row:
    return Row(title, row.modality, dataclasses.replace(row.settings, **changes), figures)


def _figures(line: dict) -> Published:
    return Published(line["accuracy"], line["macro_f1"], line.get("tail_f1"))


def _text_model(base: DiagnoserSettings, kind: str) -> str | None:
    """The run's pretrained text model if it is of a kind (`bert`, `roberta`); None: learned from scratch."""
    if base.text_model is None:
        return None
    config = json.loads((locate_text_model(base.text_model) / "config.json").read_text())
    return base.text_model if config.get("model_type") == kind else None


def _stems(weaving: Row, base: DiagnoserSettings, start: dict[str, str]) -> list[Row]:
    """Weaving on a Conformer stem from scratch and on the pretrained one, both on the frames of that pretraining."""
    scratch = {"encoder": base.encoder, "audio_stem": "conformer"}
    return [
        _beside(weaving, f"{WEAVING}, Conformer stem", **scratch),
        _beside(weaving, f"{WEAVING}, pretrained stem", **(scratch | start)),
    ]


def _frozen(base: DiagnoserSettings, whisper: str) -> EncoderSettings:
    return base.encoder if base.encoder.kind != "log-mel" else _whisper(base, whisper)


def _whisper(base: DiagnoserSettings, weights: str) -> EncoderSettings:
    if base.encoder.kind == "whisper":
        return base.encoder
    return EncoderSettings(kind="whisper", weights=weights)
