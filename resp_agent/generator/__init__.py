"""The generator: a planner writes units, a flow renders them as log-mel in a style, a vocoder makes them heard.

`training.train_generator` trains it, `synthesizer.make_generator` gives the one that the settings name, and
`synthesizer.write_clips` turns a request into a shard; `refresh.refresh_generator` goes on training it within an
episode. Content and style are kept apart: units and log-mel are normalised per style, and the flow learns from units of
copies that were made to sound like another style (back-translation).
"""
