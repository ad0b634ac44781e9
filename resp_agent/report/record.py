"""What a report is drawn from: what a run left behind, as plain values. The report adds no number of its own."""

from dataclasses import dataclass, field

from resp_agent.corpus.schema import Recording
from resp_agent.curriculum.assessment import Assessment


@dataclass(frozen=True)
class RunRecord:
    """A finished run. Letters: R rounds, C labels, S styles."""

    settings: dict
    """Settings as plain data (`settings.to_plain`)."""
    versions: dict[str, str]
    """Package -> version."""
    labels: tuple[str, ...]
    """(C,) in the diagnoser's order."""
    styles: tuple[str, ...]
    """(S,) in the corpus's order."""
    rounds: list[dict]
    """(R + 1) journal lines; the first is round 0, after the first training and before any request. Keys read:
    `round`, `requests` (each with label, style and count), `clip_ids`, `reward`, `valid_macro_f1`, `seconds`,
    and, where there are any, `why` (what the policy's `explain` said) and `credits` (one a request)."""
    valid: list[Assessment]
    """(R + 1) assessments of the validation split, one a round."""
    test_before: Assessment
    """The test split before the first round."""
    test_after: Assessment
    """The test split after the last round."""
    summary: dict
    """What `summary.json` holds. Keys read: `test_macro_f1_before`, `test_macro_f1_after`, `test_macro_f1_ci95`,
    `budget`, `policy`, `seed`, `seconds` (by phase)."""
    clips: list[Recording] = field(default_factory=list)
    """Some synthesized clips, decoded; their `request` names label and style."""
    real: list[Recording] = field(default_factory=list)
    """Some real training or validation recordings, to hear beside the clips."""
    notes: list[str] = field(default_factory=list)
    """Sentences that a reader needs, such as which labels are too rare for the validation split."""
    quarantine: list[dict] = field(default_factory=list)
    """Files that were not used, each with `source`, `path` and `reason`."""

    def request_counts(self) -> dict[tuple[str, str], int]:
        """Clips asked for by (label, style), over all rounds."""
        counts: dict[tuple[str, str], int] = {}
        for line in self.rounds:
            for request in line.get("requests") or ():
                cell = (request["label"], request["style"])
                counts[cell] = counts.get(cell, 0) + int(request["count"])
        return counts

    def label_counts(self) -> dict[str, int]:
        """Clips asked for by label, 0 for the others, over all rounds."""
        counts = dict.fromkeys(self.labels, 0)
        for (label, _), count in self.request_counts().items():
            counts[label] += count
        return counts

    @property
    def clips_made(self) -> int:
        """Clips that the journal's rounds name."""
        return sum(len(line.get("clip_ids") or ()) for line in self.rounds)
