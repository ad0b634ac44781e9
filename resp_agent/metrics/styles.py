"""Whether clips sound like the style they were asked for, and whether they give away the one their content is from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from resp_agent.errors import UserError
from resp_agent.metrics.embeddings import Scale, rows_of, unit


class StyleEar:
    """Tells styles by embeddings; fitted on real recordings, before anything is synthesized.

    Its style embedding is the projection on the directions that tell styles apart against what differs within them
    (linear discriminants, Fisher 1936, with the shrunk covariance of Ledoit and Wolf 2004): pooled features as they
    are lie nearly parallel whatever the style. Its classifier is a logistic regression.
    """

    def __init__(self, embeddings: np.ndarray, styles: Sequence[str]):
        """`embeddings`: (R, D) of real recordings, `styles` theirs. A style of one recording cannot be told.

        Raises:
            UserError: fewer than two styles have two recordings.
        """
        counts = Counter(styles)
        self.styles = tuple(sorted(style for style, count in counts.items() if count > 1))
        if len(self.styles) < 2:
            raise UserError(
                f"telling styles apart needs two or more recordings of each of two styles, these have "
                f"{', '.join(self.styles) or 'none'}: give a corpus with another device"
            )
        known = [style in self.styles for style in styles]
        names = [style for style in styles if style in self.styles]
        self._scale = Scale(embeddings[known])
        scaled = self._scale(embeddings[known])
        self._directions = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(scaled, names)
        self._classifier = LogisticRegression(max_iter=2000).fit(scaled, names)

    def embed(self, embeddings: np.ndarray) -> np.ndarray:
        """(N, D) to (N, styles - 1), centred on the real recordings."""
        return self._directions.transform(self._scale(embeddings))

    def name(self, embeddings: np.ndarray) -> np.ndarray:
        """(N,) the style that the classifier hears in each."""
        return self._classifier.predict(self._scale(embeddings))


@dataclass(frozen=True)
class StyleSimilarity:
    """Cosines of -1 to 1, means over clips; NaN where no clip has a style to compare with."""

    own: float
    """To real recordings of the requested style."""
    other: float
    """To those of the other styles."""


def style_similarity(
    vectors: np.ndarray, wanted: Sequence[str], real: np.ndarray, real_styles: Sequence[str]
) -> StyleSimilarity:
    """Style-Sim: the cosine between a clip and the mean direction of real recordings of a style.

    Args:
        vectors: (N, D) style embeddings (or any other) of clips, `wanted` the style that each was asked for.
        real: (R, D) of real recordings that the generator never heard, `real_styles` theirs.
    """
    means = {style: unit(rows.mean(0)) for style, rows in rows_of(unit(real), real_styles).items()}
    own, other = [], []
    for direction, style in zip(unit(vectors), wanted, strict=True):
        for name, mean in means.items():
            (own if name == style else other).append(direction @ mean)
    return StyleSimilarity(_mean(own), _mean(other))


def reference_similarity(embeddings: np.ndarray, references: np.ndarray) -> float:
    """The published Style-Sim: the mean cosine between the pooled features of clips, (N, D), and of the recordings
    that served as their style references, (N, D). Features are as the encoder gives them, with what all have in common.
    """
    return float((unit(embeddings) * unit(references)).sum(-1).mean())


@dataclass(frozen=True)
class StylesHeard:
    """What a style classifier says of clips; shares of 0 to 1, NaN of nothing."""

    wanted: float
    """Of all clips: named as requested."""
    leak: float
    """Of clips whose content is from another style than requested: named as the style that the content is from."""


def styles_heard(named: Sequence[str], wanted: Sequence[str], content: Sequence[str | None]) -> StylesHeard:
    """How often clips are named as requested, and how often as where their content is from.

    Args:
        named: (N,) what the classifier says.
        wanted: requested styles.
        content: styles of the recordings that contents are from; None where there is no such recording.
    """
    clips = list(zip(named, wanted, content, strict=True))
    leaks = [name == source for name, style, source in clips if source not in (None, style)]
    return StylesHeard(_mean([name == style for name, style, _ in clips]), _mean(leaks))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
