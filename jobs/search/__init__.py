"""The search for a policy: its space, its trials, its record and its pictures."""
