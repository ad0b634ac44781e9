"""How a budget of clips is spread over the rounds of an episode and the requests of a round."""


def allot(budget_left: int, rounds_left: int, requests: int) -> list[int]:
    """Clips of each request of the next round, shape (requests,): ceil(budget left / rounds left) in all.

    They are shared as evenly as whole clips allow; the first requests get one more. The last round spends what is
    left, so an episode that reaches it has spent its budget whole.

    Raises:
        ValueError: there is no round left, or no request.
    """
    if rounds_left < 1 or requests < 1 or budget_left < 0:
        raise ValueError(f"cannot share {budget_left} clips over {rounds_left} rounds of {requests} requests")
    clips = -(-budget_left // rounds_left)
    each, over = divmod(clips, requests)
    return [each + (index < over) for index in range(requests)]
