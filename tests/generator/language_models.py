"""Small language models with random weights, what their planner is given, and what transformers alone makes of it."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch.nn import functional

from resp_agent.generator.language_planner import LanguagePlanner
from resp_agent.generator.planner import PlannerBatch
from resp_agent.generator.prompts import DIAGNOSIS, END, UNIT, Prompts
from resp_agent.settings import PlannerSettings
from resp_agent.taxonomy import CONTROL

UNITS, SLOT_SIZE, LABELS = 12, 20, ("asthma", CONTROL)
TEXTS = ["A patient presents with wheezing at night", "no complaint", "control group", "asthma"]
KINDS = {
    "llama": dict(num_key_value_heads=2, tie_word_embeddings=True),
    "qwen3": dict(num_key_value_heads=2, head_dim=8),
    "gpt2": dict(),
}


def make_model(folder: Path, kind: str = "llama", seed: int = 0) -> Path:
    """A small language model with random weights and a tokenizer of bytes, as the hub has them."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet))
    folder.mkdir(parents=True)
    made.save(str(folder / "tokenizer.json"))
    torch.manual_seed(seed)
    sizes = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
    # Weights large enough for every token to be heard.
    sizes |= dict(vocab_size=made.get_vocab_size(), initializer_range=0.3)
    config = transformers.AutoConfig.for_model(kind, **sizes, **KINDS[kind])
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def planner(folder: Path, **changes) -> LanguagePlanner:
    torch.manual_seed(1)
    chosen = PlannerSettings(model=str(folder), narrative_tokens=8, **changes)
    made = LanguagePlanner(chosen, prompts(folder), SLOT_SIZE, folder)
    # New rows are nearly equal: what is told must matter.
    for rows in (made.tokens.weight, made.head):
        if rows is not None:
            torch.nn.init.normal_(rows, std=0.3, generator=torch.Generator().manual_seed(2))
    return made.eval()


@lru_cache
def prompts(folder: Path) -> Prompts:
    return Prompts.fit(UNITS, LABELS, PlannerSettings(model=str(folder), narrative_tokens=8))


def batch(folder: Path, units: int | None = None, hidden=None) -> PlannerBatch:
    """Three examples with prompts of three lengths; the last has two units less, and ends."""
    rng = np.random.default_rng(0)
    bags = [prompts(folder).bag(text) for text in ("A patient presents with wheezing at night", "", "no complaint")]
    words = np.full((3, 8), -1)
    for row, bag in zip(words, bags, strict=True):
        row[: len(bag)] = bag
    written = None
    if units:
        written = rng.integers(0, UNITS, (3, units))
        written[2, -3:] = [UNITS, -1, -1]
        written = torch.from_numpy(written)
    slots = torch.from_numpy(rng.standard_normal((3, 4, SLOT_SIZE), np.float32))
    return PlannerBatch(slots, torch.tensor([0, 1, 2]), torch.from_numpy(words), written, hidden)


def rows(given: PlannerBatch, chosen: slice) -> PlannerBatch:
    cut = {name: None if value is None else value[chosen] for name, value in vars(given).items()}
    return PlannerBatch(**cut)


@lru_cache
def plain_model(folder: Path) -> transformers.PreTrainedModel:
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval()


def plain_logits(made: LanguagePlanner, folder: Path, given: PlannerBatch, row: int, units: list[int]) -> torch.Tensor:
    """(len(units) + 1, units + 1) by the whole model of transformers, one example, its vocabulary extended."""
    whole, told = plain_model(folder), prompts(folder)
    table = torch.cat([whole.get_input_embeddings().weight[: told.size], made.tokens.weight])
    added = {name: told.size + place for place, name in enumerate(told.added)}
    words = [word for word in given.words[row].tolist() if word >= 0]
    before = [added[DIAGNOSIS], *told.label_tokens()[int(given.label[row])], *words]
    after = [added[UNIT.format(unit)] for unit in units]
    embeds = torch.cat([table[before], made.style(given.slots[row]), table[after]])
    states = whole.base_model(inputs_embeds=embeds[None]).last_hidden_state[0, -len(units) - 1 :]
    tied = table[[*(added[UNIT.format(unit)] for unit in range(UNITS)), added[END]]]
    return functional.linear(states, tied if whole.config.tie_word_embeddings else made.head)
