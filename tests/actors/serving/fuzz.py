"""Requests drawn from a service's own description of its interface, those that it allows and those that it forbids."""

import time
from contextlib import suppress

import hypothesis
from schemathesis.generation import GenerationMode
from schemathesis.schemas import BaseSchema

REFUSALS = {400, 401, 404, 405, 413, 422, 429}
LONGEST_S = 5.0


def fuzz(description: BaseSchema, examples: int, **call) -> dict[tuple[str, bool], set[int]]:
    """Sends `examples` allowed and as many forbidden requests to every operation; {(operation, allowed): statuses}.

    Raises:
        AssertionError: an answer is none of those that are described, names no reason, or takes long.
    """
    found = {}
    for made in description.get_all_operations():
        operation = made.ok()
        for mode in GenerationMode:
            name = operation.label, mode is GenerationMode.POSITIVE
            found[name] = _fuzz(operation, mode, examples, call)
    return found


def _fuzz(operation, mode: GenerationMode, examples: int, call: dict) -> set[int]:
    statuses = set()

    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def one(case) -> None:
        began = time.monotonic()
        answer = case.call(**call)
        assert time.monotonic() - began < LONGEST_S, case.as_curl_command()
        statuses.add(answer.status_code)
        if answer.status_code >= 400:
            assert answer.status_code in REFUSALS, (answer.status_code, case.as_curl_command())
            told = answer.json()
            assert told["detail"], told
            assert told["request_id"], told
        operation.validate_response(answer)

    # An operation without parameters forbids nothing.
    with suppress(hypothesis.errors.Unsatisfiable):
        one()
    return statuses
