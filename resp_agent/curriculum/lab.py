"""The Lab: what the environment needs to know of generator and diagnoser, and no more."""

from typing import Protocol, runtime_checkable

from resp_agent.curriculum.assessment import Assessment
from resp_agent.curriculum.request import Receipt, Request


@runtime_checkable
class Lab(Protocol):
    """A generator and a diagnoser that can be asked for clips and taught with them."""

    labels: tuple[str, ...]
    styles: tuple[str, ...]

    def reset(self, seed: int) -> Assessment:
        """Restores the first-trained diagnoser, training it only if there is none.

        `seed` is the episode's: it moves synthesis and batch order only.
        """

    def synthesize(self, requests: list[Request]) -> Receipt:
        """Makes the clips of a round. `[]` is legal. The audio stays where it was made."""

    def learn(self) -> Assessment:
        """Fine-tunes on real recordings and all clips so far, and assesses on the validation split."""

    def save(self) -> dict:
        """The state after the last `learn`, as plain data: checkpoint and shards by name, with digests."""

    def restore(self, state: dict) -> Assessment:
        """Goes back to a saved state and gives the assessment that belonged to it."""

    def close(self) -> None:
        """Lets go of workers and memory."""
