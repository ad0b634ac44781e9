"""Which words of a text a diagnosis comes from: the logit of a label with each word left out (Li, Monroe and Jurafsky
2016, equation 1, there relative to the logit; here as a difference)."""

import re
from dataclasses import replace

from resp_agent.diagnoser.classifier import Classifier
from resp_agent.diagnoser.inputs import Example, Inputs
from resp_agent.diagnoser.scoring import score

MOST_WORDS = 64
"""Words that are left out in turn, from the first on."""
_WORD = re.compile(r"\w+(?:[-'.]\w+)*")


def word_relevance(
    model: Classifier, inputs: Inputs, example: Example, text: str, label: int
) -> tuple[tuple[str, float], ...]:
    """(word, fall of the label's logit without it) for each word of the text that the example was made of, in order.

    Args:
        label: index of the label.
    """
    found = list(_WORD.finditer(text))[:MOST_WORDS]
    if not found:
        return ()
    without = [replace(example, text=inputs.encode(f"{text[: word.start()]} {text[word.end() :]}")) for word in found]
    logits = score(model, inputs, [example, *without])[:, label]
    return tuple((word.group(), float(logits[0] - left)) for word, left in zip(found, logits[1:], strict=True))
