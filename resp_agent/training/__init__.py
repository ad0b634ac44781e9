"""Training: one loop on a DeepSpeed engine, and its checkpoints. DeepSpeed is imported only when an engine is built."""
