"""Diagnoser and generator as replicas hold them, called without a Ray."""

import asyncio
import base64
import io
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from actors.serving.diagnoser import DiagnoserReplica
from actors.serving.generator import Asked, GeneratorReplica
from actors.serving.intake import Intake
from actors.serving.replicas import Replicas
from actors.serving.said import Said, parts
from actors.serving.served import find_served
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.narrative.template import narrative
from resp_agent.corpus.schema import audio_id, decode_flac, encode_flac
from resp_agent.diagnoser.diagnosis import Diagnoser
from tests.audio.waves import hostile, noise

NOTHING = Said()
LOOP = asyncio.new_event_loop()
"""A replica lives in one loop."""


@pytest.fixture(scope="module", autouse=True)
def replica_context():
    """What a batch queue looks up of the replica that it is in."""
    context = SimpleNamespace(_deployment_config=SimpleNamespace(max_ongoing_requests=100))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray.serve.get_replica_context", lambda: context)
        yield


@pytest.fixture(scope="module")
def served(first):
    return find_served(run=str(first))


class Handle:
    """A replica as if it were in a process of its own; notes how many diagnoses it is asked for together."""

    def __init__(self, replica):
        self.replica, self.together = replica, []

    def __getattr__(self, name):
        async def asked(*arguments):
            if name == "diagnose":
                self.together.append(len(arguments[0]))
            return await getattr(self.replica, name)(*arguments)

        return SimpleNamespace(remote=asked)


@pytest.fixture(scope="module")
def handle(served):
    return Handle(DiagnoserReplica(served))


@pytest.fixture(scope="module")
def diagnoser(handle):
    intake = Intake(60.0)
    yield Replicas(handle, None, intake, 60.0)
    intake.close()
    waiting = asyncio.all_tasks(LOOP)
    for task in waiting:
        task.cancel()
    LOOP.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))


@pytest.fixture(scope="module")
def generator(served):
    return GeneratorReplica(served.studio)


@pytest.fixture(scope="module")
def recordings(served):
    return Corpus.open(Path(served.corpus)).split("test")[:6]


def together(*calls) -> list:
    async def all_of_them():
        return await asyncio.gather(*calls)

    return LOOP.run_until_complete(all_of_them())


def upload(duration_s: float = 1.0, name: str = "upload", **how) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, noise(name, duration_s, 8_000, **how), 8_000, format="WAV")
    return buffer.getvalue()


def test_alone_or_together_the_numbers_are_those_of_diagnose(served, handle, diagnoser, recordings):
    alone = Diagnoser(Path(served.diagnoser))
    files = [encode_flac(one.waveform) for one in recordings]
    handle.together.clear()
    batched = together(*(diagnoser.diagnose(data, NOTHING, False) for data in files))
    # The first one is on its way while the others are decoded.
    assert sum(handle.together) == 6
    assert len(handle.together) < 6
    singly = [together(diagnoser.diagnose(data, NOTHING, True))[0] for data in files]
    for recording, beside, single in zip(recordings, batched, singly, strict=True):
        expected = alone(recording.id, recording.waveform).probabilities
        for found in (beside, single):
            told = {one["label"]: one["probability"] for one in found["probabilities"]}
            assert told == pytest.approx(expected, abs=1e-5)
            assert list(told.values()) == sorted(told.values(), reverse=True)
            assert (found["label"], found["confidence"]) == next(iter(told.items()))


def test_fields_become_the_narrative_that_is_read(served, diagnoser, recordings):
    one = recordings[0]
    fields = {"age_years": 63.0, "sex": "female", "site": "trachea", "symptoms": ("cough", "fever")}
    told = narrative(one.id, **fields)
    found, given = together(
        diagnoser.diagnose(encode_flac(one.waveform), Said(**fields), True),
        diagnoser.diagnose(encode_flac(one.waveform), Said(narrative=told), True),
    )
    assert found == given
    assert found["narrative"] == told
    expected = Diagnoser(Path(served.diagnoser), told)(one.id, one.waveform)
    shares = {entry["label"]: entry["probability"] for entry in found["probabilities"]}
    assert shares == pytest.approx(expected.probabilities, abs=1e-5)
    assert [entry["word"] for entry in found["words"]] == [word for word, _ in expected.words]
    assert max(entry["relevance"] for entry in found["words"]) == 1
    assert all(0 <= entry["relevance"] <= 1 for entry in found["words"])


def test_relevance_covers_the_recording_from_0_to_1(diagnoser):
    found = together(diagnoser.diagnose(upload(2.5), NOTHING, True))[0]
    values, step_s = found["relevance"]["values"], found["relevance"]["step_s"]
    assert len(values) * step_s == pytest.approx(2.5, abs=2 * step_s)
    assert max(values) <= 1
    assert min(values) == 0
    assert together(diagnoser.diagnose(upload(2.5), NOTHING, False))[0]["relevance"] is None


@pytest.mark.parametrize(
    ("data", "said", "word"),
    [
        (upload(amplitude=0.0005), Said("A cough."), "quiet"),
        (upload(amplitude=1.5), Said("A cough."), "clipped"),
        (upload(), NOTHING, "audio alone"),
        (upload(), Said("A cough.", age_years=5.0), "other fields were not read"),
    ],
)
def test_what_makes_a_diagnosis_doubtful_is_said(diagnoser, data, said, word):
    assert any(word in warning for warning in together(diagnoser.diagnose(data, said, False))[0]["warnings"])


def test_every_hostile_upload_gets_its_reason_and_the_next_one_its_diagnosis(diagnoser, tmp_path):
    tried = 0
    for path, word in hostile(tmp_path / "hostile").values():
        if not path.is_file():
            continue
        began = time.monotonic()
        found = together(diagnoser.diagnose(path.read_bytes(), NOTHING, True))[0]
        assert set(found) == {"reason"}
        assert word in found["reason"]
        assert "/proc" not in found["reason"]
        assert time.monotonic() - began < 5
        tried += 1
    assert tried > 20
    assert "label" in together(diagnoser.diagnose(upload(), NOTHING, False))[0]


def test_a_recording_beyond_the_limit_of_seconds_is_refused(diagnoser):
    assert "61" in together(diagnoser.diagnose(upload(61.0), NOTHING, False))[0]["reason"]


def test_a_diagnoser_that_answers_otherwise_than_at_first_is_not_healthy(served):
    replica = DiagnoserReplica(served)
    together(replica.check_health())
    replica._diagnoser.temperature *= 2
    with pytest.raises(RuntimeError, match="fixed sound"):
        together(replica.check_health())


def test_a_generator_that_answers_otherwise_than_at_first_is_not_healthy(served):
    replica = GeneratorReplica(served.studio)
    together(replica.check_health())
    for weights in replica._generator.models.flow.parameters():
        weights.data.add_(0.1)
    with pytest.raises(RuntimeError, match="fixed request"):
        together(replica.check_health())


def test_a_request_gives_the_same_clips_whoever_else_asks(generator):
    asked = [Asked("asthma", "smartphone", 2, seed, 0.7) for seed in (1, 2, 1)]
    one, other, again = together(*(generator.synthesize(each, "flac") for each in asked))
    alone = together(generator.synthesize(asked[0], "flac"))[0]
    assert one == again == alone
    assert one["clips"][0]["audio"] != other["clips"][0]["audio"]
    assert [clip["index"] for clip in one["clips"]] == [0, 1]
    audio = decode_flac(base64.b64decode(one["clips"][0]["audio"]))
    assert len(audio) / 16_000 == one["clips"][0]["seconds"] == 0.7


def test_a_wav_holds_what_the_flac_holds(generator):
    asked = Asked("asthma", "smartphone", 1, 1)
    flac, wav = together(*(generator.synthesize(asked, coding) for coding in ("flac", "wav")))
    samples = [
        soundfile.read(io.BytesIO(base64.b64decode(one["clips"][0]["audio"])), dtype="int16")[0] for one in (flac, wav)
    ]
    np.testing.assert_array_equal(*samples)


def test_a_style_reference_sets_the_style(generator):
    """Clips in the style of a hissing recording hiss, and those of a dull one do not."""
    rng = np.random.default_rng(0)
    hiss = 0.1 * rng.standard_normal(32_000).astype(np.float32)
    dull = np.convolve(hiss, np.ones(32, np.float32) / 8, mode="same").astype(np.float32)

    def share_above_2_khz(reference: np.ndarray) -> float:
        asked = Asked("asthma", None, 2, 1, reference=encode_flac(reference))
        clips = together(generator.synthesize(asked, "flac"))[0]["clips"]
        assert {clip["style"] for clip in clips} == {f"reference-{audio_id(reference)[:8]}"}
        power = [np.abs(np.fft.rfft(decode_flac(base64.b64decode(clip["audio"])))) ** 2 for clip in clips]
        return float(np.mean([one[len(one) // 4 :].sum() / one.sum() for one in power]))

    assert share_above_2_khz(hiss) > 5 * share_above_2_khz(dull)


def test_what_a_generator_does_not_know_is_refused_without_being_repeated(generator):
    for asked in (Asked("Jane", "smartphone", 1, 1), Asked("asthma", "Jane", 1, 1)):
        found = together(generator.synthesize(asked, "flac"))[0]
        assert "choose one of /v1/" in found["reason"]
        assert "Jane" not in found["reason"]


def test_simulated_recordings_may_be_heard_and_real_ones_only_where_that_is_said(generator, monkeypatch):
    heard = generator.recording("asthma", "smartphone")
    assert (heard["kind"], heard["label"]) == ("simulated", "asthma")
    assert len(decode_flac(base64.b64decode(heard["audio"]))) / 16_000 == heard["seconds"]
    assert "reason" in generator.recording("Jane", None)
    monkeypatch.setattr(generator, "_simulated", False)
    assert "not shared" in generator.recording("asthma", None)["reason"]
    monkeypatch.setattr(generator, "_real", True)
    assert generator.recording("asthma", None)["kind"] == "real"


def test_both_describe_what_they_are(handle, generator):
    told = handle.replica.describe()
    assert told["training_data"]["recordings"] == sum(told["training_data"]["styles"].values()) == 36
    assert told["training_data"]["labels"]["asthma"] == 6
    assert "simulated" in told["trained"]
    assert generator.describe() == {"generator_fingerprint": generator._generator.fingerprint}


def test_what_is_said_is_not_printed():
    said = Said("Jane Doe", 1.0, "f", "Jane", ("Jane",), ("Jane",))
    assert "Jane" not in repr(said)
    assert parts(" cough;; fever ;") == ("cough", "fever")
