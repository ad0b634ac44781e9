"""Roles of sources: their own, and those that a user gives."""

from pathlib import Path

import pytest

from resp_agent.corpus.roles import check_roles, device_kinds
from resp_agent.corpus.sources import SOURCES
from resp_agent.errors import UserError
from resp_agent.settings import CorpusSettings

ALL = dict.fromkeys(SOURCES, Path("."))


def test_roles_are_those_of_the_benchmark():
    assert check_roles((), ALL) == {
        "coughvid": "test", "covid19cough": "none", "folder": "train", "hflung": "none", "icbhi": "train",
        "kauh": "test", "sprsound": "train", "ukcovid": "train",
    }  # fmt: skip
    assert device_kinds({"kauh": Path("."), "ukcovid": Path(".")}) == {"kauh": "stethoscope", "ukcovid": "microphone"}


def test_a_role_that_is_given_counts():
    assert check_roles(("covid19cough=train", "icbhi=test"), {"covid19cough": Path("."), "icbhi": Path(".")}) == {
        "covid19cough": "train",
        "icbhi": "test",
    }


def test_roles_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="'kauh', which is not built: choose from icbhi"):
        check_roles(("kauh=train",), {"icbhi": Path(".")})
    for entry in ("icbhi", "icbhi=valid", "=train"):
        with pytest.raises(UserError, match=f"role '{entry}' is not understood: write <source>=train"):
            CorpusSettings(roles=(entry,))
