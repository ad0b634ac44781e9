"""`resp-agent corpus` with its places on an object store."""

import pytest

from jobs.corpus import main
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.stage import Stager
from resp_agent.durable import write_atomic
from resp_agent.errors import RunFailed
from resp_agent.storage import local, publish, remote
from tests.corpus import layouts


def contents(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


@pytest.fixture
def raw(tmp_path):
    return layouts.icbhi(tmp_path / "raw")


@pytest.fixture
def plain(raw, tmp_path):
    """What a build into a folder gives."""
    assert main(["build", "--sources", f"icbhi={raw}", "--out", str(tmp_path / "plain")]) == 0
    return contents(tmp_path / "plain")


def test_a_corpus_is_built_to_a_store_and_read_on_another_machine(s3, raw, plain, another_machine, capsys):
    assert main(["build", "--sources", f"icbhi={raw}", "--out", f"{s3}/corpora/mine"]) == 0
    assert f"corpus {s3}/corpora/mine" in capsys.readouterr().out
    # Neither the corpus in the making nor what it was made from is left.
    assert remote.objects(f"{s3}/corpora").keys() == {f"mine/{name}" for name in plain}
    another_machine()
    assert main(["stats", f"{s3}/corpora/mine"]) == 0
    assert f"figures: {s3}/corpora/mine/figures/labels.png" in capsys.readouterr().out
    assert {name: data for name, data in contents(local(f"{s3}/corpora/mine")).items() if "png" not in name} == plain


def test_raw_recordings_may_lie_on_a_store(s3, raw, plain, another_machine, tmp_path):
    publish(raw, at=local(f"{s3}/raw/icbhi"))
    another_machine()
    assert main(["build", "--sources", f"icbhi={s3}/raw/icbhi", "--out", str(tmp_path / "out")]) == 0
    assert contents(tmp_path / "out") == plain


def test_a_build_that_ended_early_goes_on_on_another_machine(s3, raw, plain, another_machine, monkeypatch, capsys):
    command = ["build", "--sources", f"icbhi={raw}", "--out", f"{s3}/mine", "--where", "local"]

    def fail(uri, file=None):
        raise RunFailed("the storage fails")

    upload = remote.upload
    with monkeypatch.context() as patch:
        patch.setattr(remote, "upload", lambda file, uri: (fail if "corpus.json" in uri else upload)(file, uri))
        assert main(command) == 1
    assert "data/train/part-00000.parquet" in remote.objects(f"{s3}/mine")
    another_machine()
    assert main(["stats", f"{s3}/mine"]) == 2
    assert f"{s3}/mine is not a corpus" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(Stager, "_stage", fail)
        assert main(command) == 0
    assert contents(local(f"{s3}/mine")) == plain


def test_an_earlier_corpus_is_replaced_whole(s3, raw, another_machine, tmp_path):
    for patients in (None, dict(list(layouts.ICBHI_PATIENTS.items())[:-1])):
        root = layouts.icbhi(tmp_path / f"raw-{bool(patients)}", patients)
        assert main(["build", "--sources", f"icbhi={root}", "--out", f"{s3}/mine"]) == 0
    built = Corpus.open(local(f"{s3}/mine"))
    another_machine()
    assert Corpus.open(local(f"{s3}/mine")).fingerprint == built.fingerprint
    assert contents(local(f"{s3}/mine")) == contents(built.path)


def test_what_is_no_corpus_is_neither_replaced_nor_read(s3, raw, capsys):
    write_atomic(local(f"{s3}/mine/letters.txt"), b"1")
    assert main(["build", "--sources", f"icbhi={raw}", "--out", f"{s3}/mine"]) == 2
    assert f"{s3}/mine holds something that is not a corpus" in capsys.readouterr().err
    assert main(["stats", f"{s3}/nothing"]) == 2
    assert f"there is no corpus at {s3}/nothing" in capsys.readouterr().err
