import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest

from resp_agent.corpus.schema import from_table
from resp_agent.curriculum.request import Request
from resp_agent.errors import UserError
from resp_agent.generator.oracle import OracleGenerator
from resp_agent.generator.style_transfer import StyleTransferGenerator
from resp_agent.generator.synthesizer import PlannedGenerator, make_generator, write_clips
from resp_agent.generator.training import train_generator
from resp_agent.settings import SimulationSettings
from resp_agent.simulation import embedded_corpus
from tests.generator.made_up import settings, train_split


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generator")
    train_generator(settings(), train_split(), folder)
    return make_generator(settings(), train_split(), folder)


@pytest.fixture(scope="module")
def oracle():
    small = SimulationSettings(train_counts=(1,) * 8, valid_per_cell=1, test_per_cell=1, duration_s=1.0)
    chosen = dataclasses.replace(settings(kind="oracle"), simulation=small)
    train = [one for one in embedded_corpus(small, 0) if one.split == "train"]
    return make_generator(chosen, train, None), train


def generators(trained, oracle) -> dict:
    control = make_generator(settings(kind="style-transfer"), train_split(), None)
    return {
        "planned": (trained, Request("asthma", "bright", 3, 7)),
        "exemplar": (trained, Request("asthma", "bright", 3, 7, "exemplar")),
        "style-transfer": (control, Request("asthma", "bright", 3, 7)),
        "oracle": (oracle[0], Request(oracle[1][-1].label, oracle[1][0].style, 3, 7)),
    }


@pytest.fixture(params=["planned", "exemplar", "style-transfer", "oracle"])
def asked(request, trained, oracle):
    return generators(trained, oracle)[request.param]


def test_the_kind_chooses_the_generator(trained, oracle):
    made = generators(trained, oracle)
    assert isinstance(made["planned"][0], PlannedGenerator)
    assert isinstance(made["style-transfer"][0], StyleTransferGenerator)
    assert isinstance(made["oracle"][0], OracleGenerator)


def test_clips_are_rows_of_what_was_asked_for(asked):
    generator, request = asked
    clips = generator.synthesize(request)
    assert [clip.id for clip in clips] == [request.clip_id(generator.fingerprint, index) for index in range(3)]
    for index, clip in enumerate(clips):
        assert (clip.label, clip.style, clip.source, clip.split) == (request.label, request.style, "synthetic", "train")
        assert clip.patient_id == clip.id
        assert clip.duration_s == 1.0
        assert np.isfinite(clip.waveform).all()
        assert clip.waveform.std() > 1e-4
        assert clip.narrative
        sources = {name: clip.request[name] for name in ("content_id", "reference_id")}
        assert clip.request == {**vars(request), "index": index, "generator": generator.fingerprint, **sources}
    assert len({clip.waveform.tobytes() for clip in clips}) == 3


def test_the_same_request_gives_the_same_clips_and_another_seed_others(asked):
    generator, request = asked
    one, two = generator.synthesize(request), generator.synthesize(request)
    assert [clip.waveform.tobytes() for clip in one] == [clip.waveform.tobytes() for clip in two]
    other = generator.synthesize(dataclasses.replace(request, seed=8))
    assert other[0].waveform.tobytes() != one[0].waveform.tobytes()


def test_a_clip_hardly_depends_on_how_many_are_made_with_it(asked):
    generator, request = asked
    many, one = generator.synthesize(request), generator.synthesize(dataclasses.replace(request, count=1))
    np.testing.assert_allclose(one[0].waveform, many[0].waveform, atol=2e-4)


@pytest.mark.parametrize("duration_s", [0.5, 1.37, 2.6])
def test_clips_last_as_long_as_is_asked_for(asked, duration_s):
    generator, request = asked
    one, two = generator.synthesize(dataclasses.replace(request, count=2, duration_s=duration_s))
    assert one.duration_s == two.duration_s == duration_s
    assert np.isfinite(one.waveform).all()
    # Neither end is left silent.
    assert min(one.waveform[:4000].std(), one.waveform[-4000:].std()) > 1e-4


def test_unknown_labels_and_styles_are_named(asked):
    generator, request = asked
    with pytest.raises(UserError, match=r"'hemoptysis'.*choose one of"):
        generator.synthesize(dataclasses.replace(request, label="hemoptysis"))
    with pytest.raises(UserError, match=r"'gramophone'.*choose one of"):
        generator.synthesize(dataclasses.replace(request, style="gramophone"))


def test_hardness_without_a_diagnoser_is_refused(asked):
    generator, request = asked
    with pytest.raises(UserError, match="hardness"):
        generator.synthesize(dataclasses.replace(request, hardness=0.5))


def test_shards_hold_the_clips(asked, tmp_path):
    generator, request = asked
    shard = write_clips(generator, request, tmp_path)
    assert shard.path == f"synthetic/{request.name(generator.fingerprint)}.parquet"
    assert shard.seconds == 3.0
    read, made = from_table(pq.read_table(tmp_path / shard.path)), generator.synthesize(request)
    assert tuple(clip.id for clip in read) == shard.clip_ids
    assert [clip.waveform.tobytes() for clip in read] == [clip.waveform.tobytes() for clip in made]
    assert [clip.request for clip in read] == [clip.request for clip in made]


def test_a_whole_shard_is_used_again_and_a_torn_one_made_again(trained, tmp_path):
    request = Request("asthma", "dull", 2, 1)
    path = tmp_path / write_clips(trained, request, tmp_path).path
    whole, before = path.read_bytes(), path.stat().st_mtime_ns
    write_clips(trained, request, tmp_path)
    assert path.stat().st_mtime_ns == before
    for torn in (whole[: len(whole) // 2], b"", whole[:100] + bytes(100) + whole[200:]):
        path.write_bytes(torn)
        write_clips(trained, request, tmp_path)
        assert path.read_bytes() == whole
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_failed_write_leaves_nothing(trained, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("resp_agent.durable.os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_clips(trained, Request("asthma", "dull", 1, 1), tmp_path)
    assert list((tmp_path / "synthetic").iterdir()) == []


@pytest.mark.parametrize("content", ["planned", "exemplar"])
def test_references_are_never_by_the_content_s_patient(trained, content):
    """The content's recording is of the label; its patient is another than the reference's."""
    known = {one.id: one for one in train_split()}
    for clip in trained.synthesize(Request("asthma", "dull", 8, 3, content)):
        source, reference = known[clip.request["content_id"]], known[clip.request["reference_id"]]
        assert (source.label, source.site) == ("asthma", clip.site)
        if content == "planned":
            assert source.narrative == clip.narrative
        assert reference.style == "dull"
        assert source.patient_id != reference.patient_id


def test_a_large_request_is_made_in_parts(trained, monkeypatch):
    request = Request("asthma", "bright", 5, 2)
    whole = trained.synthesize(request)
    monkeypatch.setattr("resp_agent.generator.synthesizer.MOST_AT_ONCE", 2)
    for one, two in zip(whole, trained.synthesize(request), strict=True):
        assert one.id == two.id
        np.testing.assert_allclose(one.waveform, two.waveform, atol=2e-4)


def test_style_transfer_moves_a_recording_s_bands_to_the_style(trained):
    from resp_agent.encoders.patches import waveform_log_mel

    control = make_generator(settings(kind="style-transfer", griffin_lim_iterations=16), train_split(), None)
    audio = settings().audio
    levels = {
        style: np.mean(
            [waveform_log_mel(one.waveform, audio).mean(0) for one in train_split() if one.style == style], 0
        )
        for style in ("bright", "dull")
    }
    made = np.mean(
        [
            waveform_log_mel(one.waveform, audio).mean(0)
            for one in control.synthesize(Request("control group", "bright", 6, 0))
        ],
        0,
    )
    assert np.abs(made - levels["bright"]).mean() < 0.5 * np.abs(made - levels["dull"]).mean()
