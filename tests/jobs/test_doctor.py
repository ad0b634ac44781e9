from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from jobs import doctor


@pytest.fixture
def found(monkeypatch):
    """Says which versions are installed instead of what is: a dict to fill, by distribution name."""
    versions = {}
    monkeypatch.setattr(doctor, "_installed", versions.get)
    return versions


def require(monkeypatch, *texts):
    monkeypatch.setattr(doctor, "requirements", lambda: [Requirement(text) for text in texts])


def test_here_nothing_is_missing(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert doctor.main(["--out", str(tmp_path / "runs")]) == 0
    said = capsys.readouterr().out
    for name in ("python", "torch", "ray", "deepspeed", "gymnasium", "CPU cores", "memory", "accelerator"):
        assert name in said
    assert metadata.version("torch") in said
    assert "missing:" not in said
    assert not (tmp_path / "runs").exists()


def test_what_is_missing_is_said_with_the_way_out(monkeypatch, capsys, found):
    require(
        monkeypatch, "there>=2", "old>=2,<3", "gone==1.*", 'elsewhere; sys_platform == "nowhere"', 'more; extra == "rl"'
    )
    found |= {"there": "2.1+cpu", "old": "1.9"}
    finding = doctor.versions()
    assert finding.missing == [
        "old <3,>=2 (1.9 is installed): pip install -e .",
        "gone ==1.* (not installed): pip install -e .",
    ]
    assert any(line.split() == ["there", "2.1+cpu"] for line in finding.lines)
    assert any(line.split() == ["extra", "rl", "0", "of", "1", "installed"] for line in finding.lines)
    assert not any("elsewhere" in line for line in finding.lines)

    monkeypatch.setattr(doctor, "ray", lambda address: doctor.Finding("Ray"))
    assert doctor.main([]) == 1
    assert "\nmissing: gone ==1.* (not installed): pip install -e .\n" in capsys.readouterr().out


def test_requirements_are_the_projects_own():
    names = {requirement.name for requirement in doctor.requirements()}
    assert {"torch", "ray", "deepspeed", "pytest"} <= names
    assert {doctor._extra(r) for r in doctor.requirements()} >= {None, "test"}


def test_a_package_shadowed_by_another_is_missing(monkeypatch, tmp_path):
    elsewhere = tmp_path / "envs"
    monkeypatch.setattr(
        doctor, "_location", lambda name: {"envs": elsewhere, "actors": None}.get(name, doctor.ROOT / name)
    )
    finding = doctor.own_packages()
    assert len(finding.missing) == 2
    assert str(elsewhere) in finding.missing[0]
    assert "pip uninstall envs" in finding.missing[0]
    assert "actors" in finding.missing[1]


def test_an_unrelated_distribution_beside_ours_is_a_warning(found):
    found["envs"] = "1.4"
    finding = doctor.own_packages()
    assert finding.missing == []
    assert any("warning" in line and "envs 1.4" in line for line in finding.lines)


def test_a_namesake_first_on_the_path_is_found(monkeypatch, tmp_path):
    (tmp_path / "somewhere_else").mkdir()
    (tmp_path / "somewhere_else" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert doctor._location("somewhere_else") == (tmp_path / "somewhere_else").resolve()
    assert doctor._location("nothing_of_that_name") is None


def test_a_full_disk_and_little_memory_are_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "LEAST_DISK_GIB", 10.0**9)
    assert any("disk space for runs" in sentence for sentence in doctor.disk(tmp_path / "a" / "b").missing)
    monkeypatch.setattr(doctor, "memory_gib", lambda: 1.0)
    assert "1.0 GiB" in doctor.machine().missing[0]


def test_a_directory_that_cannot_be_written_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.os, "access", lambda place, mode: False)
    assert f"write in {tmp_path.resolve()}" in doctor.disk(Path(tmp_path)).missing[0]


def test_memory_is_that_of_the_machine_or_less():
    assert 0 < doctor.memory_gib() < 2**20
