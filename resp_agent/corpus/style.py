"""How a recording sounds: its device, or a cluster where there are not two devices to tell apart."""

from collections.abc import Iterable, Sequence

import numpy as np

UNKNOWN_DEVICE = "unknown device"


def styles_of(
    devices: Sequence[str | None], splits: Sequence[str], waveforms: Iterable[np.ndarray], seed: int
) -> list[str]:
    """The style of each recording.

    Two or more devices: the device (`UNKNOWN_DEVICE` where it is None). Otherwise `clusters.clusters_of`; `waveforms`
    is read only then.
    """
    if len(set(devices) - {None}) >= 2:
        return [device or UNKNOWN_DEVICE for device in devices]
    if not splits:
        return []
    # Imported when needed: torch and scikit-learn take seconds and half a gigabyte that most builds have no use for.
    from resp_agent.corpus.clusters import clusters_of

    return clusters_of(splits, waveforms, seed)
