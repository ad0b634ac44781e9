"""The multimodal diagnoser: narrative and audio woven into one sequence."""
