import runpy
import subprocess
import sys
import types

import pytest

from jobs.cli import VERBS, main
from resp_agent import __version__
from resp_agent.errors import UserError


@pytest.mark.parametrize("argv", [["--help"], ["-h"], ["help"]])
def test_help_lists_every_verb_with_a_line(argv, capsys):
    assert main(argv) == 0
    said = capsys.readouterr().out
    for verb, (_, line) in VERBS.items():
        assert any(verb in row and line in row for row in said.splitlines())


def test_no_verb_is_a_usage_error(capsys):
    assert main([]) == 2
    assert "usage" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"resp-agent {__version__}"


def test_an_unknown_verb_is_answered_with_the_choices(capsys):
    assert main(["curricullum"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "'curricullum'" in said
    for verb in VERBS:
        assert verb in said


def test_a_verb_gets_its_options_and_gives_its_code(monkeypatch, capsys):
    def job(argv):
        if argv == ["--bad"]:
            raise UserError("--bad is no option")
        return 1 if argv == ["a", "b"] else 0

    monkeypatch.setitem(sys.modules, "made_up_job", types.SimpleNamespace(main=job))
    monkeypatch.setitem(VERBS, "made-up", ("made_up_job:main", "for this test"))
    assert main(["made-up", "a", "b"]) == 1
    assert main(["made-up"]) == 0
    assert main(["made-up", "--bad"]) == 2
    assert capsys.readouterr().err == "resp-agent: --bad is no option\n"


def test_help_loads_nothing_heavy():
    script = (
        "import sys; from jobs.cli import main; main(['--help']); "
        "assert not {'torch', 'ray', 'numpy', 'gymnasium'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, capture_output=True)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_is_a_module_too(verb, monkeypatch, capsys):
    """In this process: it has imported what each of them would import anew."""
    module = VERBS[verb][0].split(":")[0]
    for name, argv in (("jobs.cli", [verb, "--help"]), (module, ["--help"])):
        monkeypatch.setattr(sys, "argv", [name, *argv])
        # As `python -m` finds it.
        monkeypatch.delitem(sys.modules, name, raising=False)
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(name, run_name="__main__")
        assert ended.value.code in (0, None)
        assert "usage" in capsys.readouterr().out.lower()


def test_the_command_line_is_a_process():
    done = subprocess.run(
        [sys.executable, "-m", "jobs.cli", "doctor", "--help"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()
