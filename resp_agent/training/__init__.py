"""Training: one loop on a DeepSpeed engine, and the checkpoints it leaves. DeepSpeed is imported only when an engine is built."""
