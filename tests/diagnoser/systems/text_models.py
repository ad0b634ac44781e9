"""Small random text models in the layout of published ones."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, LongformerConfig, LongformerModel, RobertaConfig, RobertaModel

WORDS = ("<s>", "<pad>", "</s>", "<unk>", "a", "cough", "and", "wheeze", "at", "night")
KINDS = {
    "bert": (BertConfig, BertModel, {"max_position_embeddings": 24, "pad_token_id": 1}),
    "roberta": (RobertaConfig, RobertaModel, {"max_position_embeddings": 26}),
    "longformer": (LongformerConfig, LongformerModel, {"max_position_embeddings": 66, "attention_window": [8, 8]}),
}


def write_text_model(folder: Path, kind: str) -> str:
    """A folder with the configuration, weights and tokenizer of a random model; `kind` is its `model_type`."""
    torch.manual_seed(1)
    config, model, more = KINDS[kind]
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    model(config(vocab_size=len(WORDS), **sizes, **more)).save_pretrained(folder)
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    # As some published ones are: whoever asks for the bare special tokens must not get these.
    tokenizer.enable_padding(pad_id=1, pad_token="<pad>", length=12)
    tokenizer.save(str(folder / "tokenizer.json"))
    return str(folder)
