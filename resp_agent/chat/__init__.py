"""Language models that answer chats: one of the transformers library, or a server that answers as OpenAI's does."""


class NoAnswer(Exception):
    """The model gave no answer: its text goes on after the model's name, as in "cannot be reached"."""
