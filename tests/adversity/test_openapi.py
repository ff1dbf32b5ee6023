"""Requests made from the API's own description: none fails the server, answers are as described.

ADVERSITY_REQUESTS=10000 sends about so many, instead of a few hundred.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure as CheckFailed
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rag_app.application import Application
from tests.rag_app.served import TOKEN, serving
from tests.rag_app.support import prose, write

COUNT = int(os.environ.get("ADVERSITY_REQUESTS", "300"))
FIXED: dict[str, dict[str, Any]] = {"ingest": {"body": {"paths": ["/nowhere"]}}}
"""What is not left to chance: a path might be a folder of this machine."""
KNOWN = {"collection": "c", "source": "a.txt", "name": "rag-app/c"}
"""Names of what is there, so that not everything is refused for not being there."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.mark.slow
async def test_no_request_of_the_description_fails_the_server(
    application: Application, tmp_path: Path
) -> None:
    await application.ingest("c", [write(tmp_path / "in", {"a.txt": prose("a"), "b.txt": "b."})])
    async with serving(application) as served:
        unsent, problems = await asyncio.to_thread(send_all, served.address)
        names = [one.name for one in await application.collections()]
    assert "c" in names  # others may have been created
    assert not problems, "\n\n".join(sorted(problems))
    assert not unsent


def send_all(address: str) -> tuple[set[str], set[str]]:
    """Send requests of every operation, fitting ones and others.

    Returns:
        The operations that no request was made for, and what was wrong with the answers.
    """
    problems = set[str]()
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        answer = session.get(f"{address}/openapi.json", timeout=60)
        schema = schemathesis.openapi.from_dict(answer.json())
        operations = [found.ok() for found in schema.get_all_operations()]
        unsent = {operation.label for operation in operations}
        examples = max(2, COUNT // (3 * len(operations)))
        for operation in operations:
            fixed = FIXED.get(operation.definition.raw.get("operationId", ""), {})
            for mode in GenerationMode:
                strategy = operation.as_strategy(generation_mode=mode, **fixed)

                @settings(
                    max_examples=examples,
                    phases=[Phase.generate],
                    deadline=None,
                    database=None,
                    derandomize=True,
                    suppress_health_check=list(HealthCheck),
                )
                @given(case=strategy, known=st.booleans())
                def send(case: Any, known: bool) -> None:
                    unsent.discard(case.operation.label)
                    for part in (case.path_parameters, case.query):
                        for name in KNOWN.keys() & (part or {}).keys() if known else ():
                            part[name] = KNOWN[name]
                    response = case.call(base_url=address, session=session)
                    try:
                        case.validate_response(response, checks=CHECKS)
                    except* CheckFailed as found:
                        problems.update(
                            f"{case.operation.label}: {one}" for one in found.exceptions
                        )

                try:
                    send()
                except Unsatisfiable:  # nothing can be wrong with it
                    assert mode is GenerationMode.NEGATIVE
    return unsent, problems
