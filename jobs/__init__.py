"""What a user runs or submits: each job is `python -m jobs.<name>` and `resp-agent <name>`."""
