"""The API asked by its own description: what it allows, what it does not, and odd methods, against the running dashboard.

``openapi.json`` ──▶ schemathesis (seeded, bounded) ──▶ requests ──▶ status, content type and shape as described, never a 5xx
"""

from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from dashboard.api.app import description_of_api
from dashboard.api.asked import BURST
from dashboard.api.keys import SCOPES
from tests.dashboard.conftest import Server

EXAMPLES = 12
API = schemathesis.openapi.from_dict(description_of_api())
OPERATIONS = [found.ok() for found in API.get_all_operations() if isinstance(found, Ok)]


class Keys:
    """A fresh key whenever one has asked as often as it may at once."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._asked = count()
        self._token = ""

    def header(self) -> dict[str, str]:
        if next(self._asked) % (BURST - 20) == 0:
            self._token = self._server.key(*SCOPES)
        return {"Authorization": f"Bearer {self._token}"}


@pytest.fixture(scope="module")
def keys(server: Server) -> Keys:
    return Keys(server)


def test_the_description_is_served(server: Server) -> None:
    with server.api("read") as api:
        assert api.get("openapi.json").json() == API.raw_schema
    assert len(OPERATIONS) > 15


def unsaid(operation: Any, case: Case[Any]) -> list[Any]:
    """Checks of what a description can't say."""
    checks: list[Any] = [ignored_auth]  # wrong keys lock an address out after twenty: test_api.py asks without and with wrong ones
    nothing = any(value in ([], {}) for value in (case.query or {}).values())  # is left out of an address: nobody sees what is wrong
    if nothing or operation.path in ("/latest", "/readings"):
        checks.append(negative_data_rejection)  # one number where a list of names belongs is a list of one name, in an address
    if operation.method == "post" or operation.path == "/readings":
        checks.append(positive_data_acceptance)  # `from` before `to`; columns of one length; days that exist
    return checks


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("operation", OPERATIONS, ids=[f"{one.method} {one.path}" for one in OPERATIONS])
def test_what_is_described_is_what_happens(server: Server, keys: Keys, operation: Any, mode: GenerationMode) -> None:
    @given(operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def ask(case: Case[Any]) -> None:
        case.call_and_validate(f"{server.address}/api/v1", headers=keys.header(), excluded_checks=unsaid(operation, case))

    ask()
