"""BERT and RoBERTa as branches: pretrained where the settings name a text model, else small and from scratch."""

import json

import torch
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from resp_agent.diagnoser.classifier import Batch
from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.longformer_weights import encoder_state, read_folder
from resp_agent.diagnoser.systems.branches import Branch
from resp_agent.diagnoser.systems.pooling import masked_mean, real_places
from resp_agent.diagnoser.systems.special import WITHOUT_DROPOUT, SpecialTokens
from resp_agent.errors import UserError
from resp_agent.settings import DiagnoserSettings

KINDS = {"bert": (BertConfig, BertModel), "roberta": (RobertaConfig, RobertaModel)}


class TextEncoder(Branch):
    """The mean state of `[CLS] text [SEP]`; where the text is withheld, of the special tokens alone."""

    def __init__(self, kind: str, settings: DiagnoserSettings, inputs: Inputs):
        """`kind`: `bert` or `roberta`.

        Raises:
            UserError: the text model is not there, of another kind, or reads fewer tokens than the settings say.
        """
        super().__init__()
        self.special = SpecialTokens.of(inputs)
        self.model = _pretrained(kind, settings, inputs) if settings.text_model else self._fresh(kind, settings, inputs)
        config = self.model.config
        self.width = config.hidden_size
        # RoBERTa's table of positions begins after the row of padding.
        self.first_position = config.pad_token_id + 1 if kind == "roberta" else 0
        most = config.max_position_embeddings - self.first_position - 2
        if settings.text_tokens > most:
            raise UserError(
                f"{settings.text_model} reads at most {most} tokens, not {settings.text_tokens}: "
                f"give --diagnoser.text-tokens {most} or fewer"
            )

    def forward(self, batch: Batch) -> torch.Tensor:
        ids, lengths = self.special.around(batch.text, batch.text_lengths)
        real = real_places(lengths, ids.shape[1])
        places = self.first_position + torch.arange(ids.shape[1], device=ids.device)[None]
        states = self.model(input_ids=ids, attention_mask=real.long(), position_ids=places).last_hidden_state
        return masked_mean(states, real)

    def _fresh(self, kind: str, settings: DiagnoserSettings, inputs: Inputs) -> torch.nn.Module:
        config, model = KINDS[kind]
        sizes = config(
            vocab_size=inputs.words + self.special.first_word,
            hidden_size=settings.width,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            intermediate_size=4 * settings.width,
            max_position_embeddings=settings.text_tokens + 2 + self.special.padding + 1,
            pad_token_id=self.special.padding,
            **WITHOUT_DROPOUT,
        )
        return model(sizes, add_pooling_layer=False)


def _pretrained(kind: str, settings: DiagnoserSettings, inputs: Inputs) -> torch.nn.Module:
    name = settings.text_model
    given, state = (json.loads(inputs.text_config), None) if inputs.weights_follow else read_folder(name)
    if given.get("model_type") != kind:
        raise UserError(
            f"the text model {name!r} is a {given.get('model_type')}, not a {kind}: give --diagnoser.text-model one of "
            "that kind, or none to learn from scratch"
        )
    config, make = KINDS[kind]
    model = make(config(**given | WITHOUT_DROPOUT), add_pooling_layer=False)
    if state is None:
        return model
    try:
        model.load_state_dict(encoder_state(state)[0])
    except RuntimeError as problem:
        reason = " ".join(line.strip() for line in str(problem).splitlines()[1:3])
        raise UserError(f"the weights of {name!r} are not those of its config.json: {reason}") from None
    return model
