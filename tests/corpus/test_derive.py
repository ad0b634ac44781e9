import pytest

from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.derive import derive
from resp_agent.corpus.write import write_corpus
from resp_agent.errors import UserError
from resp_agent.settings import SimulationSettings
from resp_agent.simulation import embedded_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    settings = SimulationSettings((6, 4, 4, 2, 2, 2, 2, 2), valid_per_cell=2, test_per_cell=1, duration_s=1.0)
    return write_corpus(embedded_corpus(settings, 5), tmp_path_factory.mktemp("derive") / "corpus")


def ids(corpus: Corpus, split: str) -> list[str]:
    return [one.id for one in corpus.descriptions(split)]


def cells(corpus: Corpus, split: str) -> set:
    return {(one.label, one.style) for one in corpus.descriptions(split)}


def test_validation_of_training_cells_only(corpus, tmp_path):
    made = derive(corpus, "training-cells", tmp_path / "made")
    assert cells(made, "valid") == cells(corpus, "train") & cells(corpus, "valid")
    assert len(ids(made, "valid")) == 2 * len(cells(made, "valid"))
    for split in ("train", "test"):
        assert ids(made, split) == ids(corpus, split)
    assert made.fingerprint != corpus.fingerprint
    # Made once; another variant at the same place replaces it.
    before = (tmp_path / "made" / "corpus.json").stat().st_mtime_ns
    assert derive(corpus, "training-cells", tmp_path / "made").fingerprint == made.fingerprint
    assert (tmp_path / "made" / "corpus.json").stat().st_mtime_ns == before


def test_training_on_validation_keeps_one_recording_of_each_label(corpus, tmp_path):
    made = derive(corpus, "train+valid", tmp_path / "made")
    assert sorted(ids(made, "train") + ids(made, "valid")) == sorted(ids(corpus, "train") + ids(corpus, "valid"))
    assert sorted(one.label for one in made.descriptions("valid")) == sorted(corpus.labels)
    assert ids(made, "test") == ids(corpus, "test")


def test_a_validation_of_other_cells_alone_leaves_nothing(tmp_path):
    settings = SimulationSettings((2,) * 8, valid_per_cell=1, test_per_cell=1, duration_s=1.0)
    recordings = embedded_corpus(settings, 5)
    trained = {(one.label, one.style) for one in recordings if one.split == "train"}
    odd = [one for one in recordings if one.split != "valid" or (one.label, one.style) not in trained]
    corpus = write_corpus(odd, tmp_path / "odd")
    with pytest.raises(UserError, match="no validation recording left"):
        derive(corpus, "training-cells", tmp_path / "made")
