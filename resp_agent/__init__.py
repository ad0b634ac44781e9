"""The science of the curriculum: corpus, encoders, generator, diagnoser and the loop that joins them.

Nothing here knows where it runs: no Ray, no Gymnasium, and DeepSpeed only inside `resp_agent.training`.
"""

__version__ = "0.1.0"
