from pathlib import Path

import pytest

from resp_agent.errors import UserError
from resp_agent.storage import absolute, is_mirror, is_remote, local, shown
from resp_agent.storage.places import uri_of


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESP_AGENT_CACHE", str(tmp_path))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


@pytest.mark.parametrize("place", ["runs/first", "/data/runs", "..", "C=d/e"])
def test_a_path_stays_what_it_is(place):
    assert local(place) == Path(place)
    assert not is_remote(place)
    assert not is_mirror(place)
    assert shown(Path(place)) == place


def test_a_file_uri_is_a_path():
    assert local("file:///data/my%20runs") == local("file://localhost/data/my%20runs") == Path("/data/my runs")
    assert absolute("file:///data/x") == "/data/x"


@pytest.mark.parametrize("place", ["s3://clinic", "s3://clinic/runs/first", "gs://clinic/a b/c=d"])
def test_a_place_on_a_store_has_a_mirror_that_tells_it(place, tmp_path):
    assert is_remote(place)
    assert local(place).is_relative_to(tmp_path)
    assert is_mirror(local(place))
    assert shown(local(place)) == place == absolute(place)
    assert uri_of(local(place) / "below") == f"{place}/below"
    assert local(f"{place}//") == local(place)


def test_what_lies_above_buckets_mirrors_nothing(tmp_path):
    above = local("s3://clinic").relative_to(tmp_path)
    for parent in above.parents:
        assert uri_of(tmp_path / parent) is None


def test_buckets_of_two_services_have_mirrors_apart(monkeypatch):
    one = local("s3://clinic/x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    assert local("s3://clinic/x") != one
    assert uri_of(local("s3://clinic/x")) == uri_of(one) == "s3://clinic/x"


@pytest.mark.parametrize(
    ("place", "way_out"),
    [
        ("ftp://host/x", "s3://"),
        ("s3://", "s3://bucket/name"),
        ("gs:///x", "gs://bucket/name"),
        ("s3://clinic/../other", "s3://bucket/name"),
        ("file://host/x", "file:///path"),
        ("file://relative", "file:///path"),
    ],
)
def test_what_is_no_place_is_refused_with_a_way_out(place, way_out):
    with pytest.raises(UserError, match=way_out):
        local(place)
