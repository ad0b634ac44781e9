"""Who a clip is said to be of: a patient who is put together from several of the clip's label.

A label of eight recordings has eight narratives. Heard with each of them hundreds of times, a diagnoser learns them by
heart, and not the sound.
"""

from collections.abc import Sequence

import numpy as np

from resp_agent.corpus.narrative.template import narrative
from resp_agent.corpus.schema import Recording

TEMPLATE = "template"
"""Source of the narratives that are written anew; what a language model wrote of a patient stays that patient's."""


def invent(clip: Recording, same_label: Sequence[Recording], rng: np.random.Generator) -> dict:
    """Fields of a clip that change: age with sex, symptoms and history, each of a drawn recording of the label, and the
    narrative that says so. The site stays: it is heard."""
    person, ill, before = (same_label[rng.integers(len(same_label))] for _ in range(3))
    fields = {
        "age_years": person.age_years,
        "sex": person.sex,
        "symptoms": ill.symptoms,
        "history": before.history,
    }
    return fields | {"narrative": narrative(clip.id, site=clip.site, **fields), "narrative_source": TEMPLATE}
