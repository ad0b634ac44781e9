"""Styles of recordings that no two devices tell apart: clusters of pooled log-mel."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from sklearn.cluster import KMeans

from resp_agent.audio.features import log_mel
from resp_agent.randomness import seed_of
from resp_agent.settings import AudioSettings
from resp_agent.threads import threads

CLUSTERS = 3
"""Styles of a corpus with fewer than two devices."""


def clusters_of(splits: Sequence[str], waveforms: Iterable[np.ndarray], seed: int) -> list[str]:
    """The cluster of each recording, `cluster 1` to `cluster 3`: k-means over `pooled` of the training recordings (of
    all, where there are none), numbered by how many of those they hold."""
    with threads(1):
        features = np.stack([pooled(waveform) for waveform in waveforms])
        train = features[[split == "train" for split in splits]] if "train" in splits else features
        kinds = len(np.unique(train, axis=0))
        model = KMeans(min(CLUSTERS, kinds), n_init=10, random_state=seed_of(seed, "styles") % 2**32).fit(train)
        rank = np.argsort(np.argsort(-np.bincount(model.labels_, minlength=model.n_clusters), kind="stable"))
        return [f"cluster {rank[cluster] + 1}" for cluster in model.predict(features)]


def pooled(waveform: np.ndarray) -> np.ndarray:
    """(M + M,) mean and standard deviation over time of the log-mel of audio of shape (samples,), in nats."""
    frames = log_mel(torch.from_numpy(waveform), AudioSettings()).numpy()
    return np.concatenate([frames.mean(axis=0), frames.std(axis=0)])
