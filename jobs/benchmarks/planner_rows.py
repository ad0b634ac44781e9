"""The rows of the table of planners: which policy, and what else makes the row."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from resp_agent.curriculum.policies import CHOICES, NONE, check_choice, parse_choice
from resp_agent.errors import UserError
from resp_agent.settings import Settings, from_plain, to_plain

THINKER, RANDOM = "thinker", "random"
REFERENCES = (NONE, "class-weighted", "focal")
"""Rows that synthesize nothing."""
STATIC = (
    "class-prior",
    "static-uncertainty",
    "rare-only",
    "hard-case",
    "hard-domain",
    "rare-x-hard-domain",
    "weakness",
)
"""Policies of a fixed rule, which the thinker is held against one by one."""


@dataclass(frozen=True)
class PlannerRow:
    """A row. It differs from the study's settings in its policy and in what `changes` says, and in nothing else."""

    name: str
    """On the command line and in the table."""
    policy: str
    changes: dict = field(default_factory=dict)
    """Settings as nested plain data."""
    variant: str | None = None
    """What its corpus is made into; see `resp_agent.corpus.derive`."""
    generator: str | None = None
    """Kind of generator; None: the study's."""
    needs: Callable[[Settings], bool] = lambda settings: True
    """Whether the row makes sense in a study of these settings."""

    def settings(self, study: Settings) -> Settings:
        """The row's settings in a study."""
        changed = from_plain(self.changes, study) if self.changes else study
        kind = self.generator or study.generator.kind
        # Without synthesis no generator is asked for, and none shall be trained.
        kind = "style-transfer" if self.policy == NONE else kind
        composition = changed.generator.composition
        if self.generator == "style-transfer" and self.policy != NONE:
            composition = dataclasses.replace(composition, invent_patients=False)
        own = dataclasses.replace(changed.generator, kind=kind, composition=composition)
        return dataclasses.replace(changed, generator=own)


def _trained(settings: Settings) -> bool:
    return settings.generator.kind == "trained"


EXTRAS = (
    PlannerRow("thinker/hardness", f"{THINKER}:hardness=0.5", {"curriculum": {"hardness_levels": 3}}, needs=_trained),
    PlannerRow("thinker/alignment", THINKER, {"diagnoser": {"alignment": 0.3}}, needs=_trained),
    PlannerRow("thinker/refresh", THINKER, {"curriculum": {"refresh_every": 3}}, needs=_trained),
    PlannerRow("random/style-transfer", RANDOM, generator="style-transfer", needs=_trained),
    PlannerRow("thinker/style-transfer", THINKER, generator="style-transfer", needs=_trained),
    PlannerRow("random/training-cells", RANDOM, variant="training-cells", needs=_trained),
    PlannerRow("thinker/training-cells", THINKER, variant="training-cells", needs=_trained),
    PlannerRow("none/train+valid", NONE, variant="train+valid"),
)
"""Rows beside the planners: the adversarial part, co-design, the control without a model, and what the validation
labels are worth: of cells that training lacks, and altogether."""


def all_rows(study: Settings) -> list[PlannerRow]:
    """Every row of a study, in the table's order."""
    references = [
        PlannerRow(NONE, NONE),
        *(PlannerRow(loss, NONE, {"diagnoser": {"loss": loss}}) for loss in REFERENCES[1:]),
    ]
    policies = [PlannerRow(name, name) for name in CHOICES if name not in (NONE, "llm")]
    return [*references, *policies, *(row for row in EXTRAS if row.needs(study))]


def chosen_rows(names: Sequence[str], study: Settings) -> list[PlannerRow]:
    """Rows by name; a policy with parameters, or of one's own, is a row of that name. Of no name, all.

    Raises:
        UserError: a name is no row of this study and no policy.
    """
    known = {row.name: row for row in all_rows(study)}
    rows = []
    for name in names or known:
        if name not in known:
            if ":" not in name and name not in CHOICES:
                raise UserError(f"there is no planner {name!r}: choose from {', '.join(known)}, or a policy with "
                                "parameters as in thinker:temperature=0.2")  # fmt: skip
            known[name] = PlannerRow(name, check_choice(name))
        rows.append(known[name])
    return rows


def is_synthesis(row: PlannerRow) -> bool:
    """Whether the row spends the budget."""
    return parse_choice(row.policy).name != NONE


def what_counts(row: PlannerRow, study: Settings) -> dict:
    """The settings that a row's result depends on, as plain data: controls do not ask how a generator is trained."""
    plain = to_plain(row.settings(study))
    if plain["generator"]["kind"] not in ("trained",) and ":" not in plain["generator"]["kind"]:
        whole = plain["generator"]
        plain["generator"] = {"kind": whole["kind"], "griffin_lim_iterations": whole["griffin_lim_iterations"]}
        plain["generator"]["invents"] = whole["composition"]["invent_patients"]
    return plain
