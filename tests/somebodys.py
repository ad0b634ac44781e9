"""A user's own generator, diagnoser and policy, as `--generator tests.somebodys:Tones` and the like name them."""

import numpy as np
from torch import nn

from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.curriculum.policies.random import RandomPolicy
from resp_agent.diagnoser.systems.single import lstm
from resp_agent.generator.synthesizer import clip_of


class Tones:
    """Clips that are a tone each, its pitch being the label's."""

    def __init__(self, settings, train, folder):
        self.settings, self.train_split = settings, train
        self.pitches = np.load(folder / "pitches.npy")
        self.fingerprint = f"tones-{len(self.pitches)}"

    @staticmethod
    def train(settings, train, folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "pitches.npy").exists():
            np.save(folder / "pitches.npy", 100.0 * (1 + np.arange(16)))

    def synthesize(self, request):
        own = [one for one in self.train_split if one.label == request.label]
        moments = np.arange(request.samples(self.settings.audio)) / SAMPLE_RATE_HZ
        tone = 0.1 * np.sin(2 * np.pi * self.pitches[len(request.label) % 16] * moments)
        return [clip_of(request, self.fingerprint, index, tone, own[0], own[0]) for index in range(request.count)]

    def listen(self, diagnoser):
        """Nothing to hear."""


class NoGenerator:
    """Lacks what a generator has."""

    def __init__(self, settings, train, folder):
        pass


def reader(settings, inputs):
    """A diagnoser that reads only."""
    return lstm(settings, inputs)


class NotOne(nn.Module):
    """Nothing that diagnoses."""


class Stubborn(RandomPolicy):
    """Asks for one label, whatever there is."""

    def __init__(self, *fixed, label: int = 0):
        super().__init__(*fixed)
        self.label = label

    def weights(self, observation):
        weights = super().weights(observation) * 0
        weights[self.label] = 1
        return weights
