"""The OpenAPI document is true: whatever it allows, or does not, is answered as it says, and never by a 500."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from serving import Made

from expose.serve import Limits, app

schemathesis = pytest.importorskip("schemathesis", reason="needs the extra test")

TOKEN = "a-token-of-many-signs"


def ask(operation: Any, mode: Any, headers: dict[str, str]) -> set[int]:
    """Send what is made up for an operation, and check the answers; which statuses these had."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks as of_openapi

    checks = [
        not_a_server_error,
        of_openapi.status_code_conformance,
        of_openapi.content_type_conformance,
        of_openapi.response_headers_conformance,
        of_openapi.response_schema_conformance,
    ]
    found: set[int] = set()

    @settings(
        max_examples=40 if operation.method == "post" else 4,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        answer = case.call(headers=headers)
        found.add(answer.status_code)
        case.validate_response(answer, checks=checks)

    try:
        send()
    except Unsatisfiable:  # nothing can be wrong with what takes nothing
        assert mode is schemathesis.GenerationMode.NEGATIVE
    return found


@pytest.mark.parametrize("kind", ["table", "photos"])
def test_whatever_is_sent_is_answered_as_the_document_says(kind: str, request: Any) -> None:
    made: Made = request.getfixturevalue(kind)
    service = app(made[0], token=TOKEN, limits=Limits(seconds=20), look_every=None)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    schema = schemathesis.openapi.from_asgi("/openapi.json", service, headers=headers)
    for result in schema.get_all_operations():
        operation = result.ok()
        meant = ask(operation, schemathesis.GenerationMode.POSITIVE, headers)
        wrong = ask(operation, schemathesis.GenerationMode.NEGATIVE, headers)
        assert meant & {200, 422}
        if operation.label == "POST /score" and kind == "table":
            assert meant >= {200, 422}
            assert 422 in wrong
    service.state.service.close()
