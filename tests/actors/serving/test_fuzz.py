"""What the interface answers to requests drawn from its own description, on made-up models."""

import schemathesis

from tests.actors.serving.fuzz import fuzz
from tests.actors.serving.test_routes import MadeUp, application


def test_drawn_requests_are_answered_as_described(tmp_path):
    description = schemathesis.openapi.from_asgi("/openapi.json", application(MadeUp(), tmp_path))
    found = fuzz(description, 60)
    assert {"GET /v1/model", "POST /v1/diagnose", "POST /v1/synthesize", "POST /v1/batch"} <= {
        name for name, _ in found
    }
    # Some of what is allowed works, all of it but uploads and names of things that are not there.
    assert 200 in found["POST /v1/diagnose", True]
    assert 200 in found["POST /v1/synthesize", True]
    assert 202 in found["POST /v1/batch", True]
    assert {422, 400} & found["POST /v1/synthesize", False]
