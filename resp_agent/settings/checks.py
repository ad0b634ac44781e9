"""Refusing settings that cannot be: one sentence that names the value and a way out."""

from resp_agent.errors import UserError


def refuse(condition: bool, sentence: str) -> None:
    """Raises UserError with the sentence if the condition holds."""
    if condition:
        raise UserError(sentence)


def refuse_share(name: str, value: float) -> None:
    """Refuses what is no share of a whole."""
    refuse(not 0 <= value <= 1, f"{name} is a share: {value} is outside 0 to 1")


def refuse_width(width: int, heads: int) -> None:
    """Refuses a width that does not divide into heads."""
    # Rotary positions turn pairs of numbers in each head.
    refuse(width % (2 * heads) != 0, f"a width of {width} does not divide into {heads} heads of even width")
