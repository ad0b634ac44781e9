"""The online service: an ingress, diagnosers and generators on Ray Serve."""
