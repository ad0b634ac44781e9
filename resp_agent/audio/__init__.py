"""Decoding, quality and features of audio."""
