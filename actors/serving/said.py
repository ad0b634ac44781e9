"""What is said of a patient, as the text that a diagnoser reads."""

from dataclasses import dataclass, field

from resp_agent.corpus.narrative.template import narrative
from resp_agent.diagnoser.text import text_of


@dataclass(frozen=True)
class Said:
    """A narrative, or fields that one is made of. Nothing of it is printed with the object."""

    narrative: str | None = field(default=None, repr=False)
    age_years: float | None = field(default=None, repr=False)
    sex: str | None = field(default=None, repr=False)
    site: str | None = field(default=None, repr=False)
    symptoms: tuple[str, ...] = field(default=(), repr=False)
    history: tuple[str, ...] = field(default=(), repr=False)

    @property
    def has_fields(self) -> bool:
        """Whether anything but a narrative is said."""
        return self.age_years is not None or bool(self.sex or self.site or self.symptoms or self.history)

    def text(self, recording: str, kind: str) -> str | None:
        """What a diagnoser reads with a recording of that id; None: nothing is said.

        Args:
            kind: see `DiagnoserSettings.text`.
        """
        if self.narrative:
            return self.narrative
        if not self.has_fields:
            return None
        if kind != "narrative":
            return text_of(self, kind) or None
        return narrative(
            recording,
            age_years=self.age_years,
            sex=self.sex,
            site=self.site,
            symptoms=self.symptoms,
            history=self.history,
        )


def parts(text: str | None) -> tuple[str, ...]:
    """The entries of "cough; fever"."""
    return tuple(part.strip() for part in (text or "").split(";") if part.strip())
