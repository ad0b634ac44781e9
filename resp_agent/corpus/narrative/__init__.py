"""Clinical narratives: a template, language models that write in its place, and the check that holds both to their
records."""
