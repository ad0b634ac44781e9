import numpy as np

from resp_agent.encoders.pretrained import Window, batches, cut, in_windows, stacked


def test_windows_are_equal_and_cover_everything_once():
    for frames in range(60):
        for most in (1, 3, 7, 63):
            windows = cut(4, frames, most)
            assert [t for one in windows for t in range(one.start, one.start + one.frames)] == list(range(frames))
            assert all(one.owner == 4 for one in windows)
            sizes = [one.frames for one in windows]
            assert len(windows) == -(-frames // most)
            assert not sizes or (max(sizes) <= most and max(sizes) - min(sizes) <= 1)


def test_batches_hold_every_window_once_and_only_equal_ones():
    windows = [Window(owner, 0, 1 + owner * 7 % 5) for owner in range(40)]
    made = list(batches(windows, most=20))
    assert sorted(one.owner for batch in made for one in batch) == list(range(40))
    for batch in made:
        assert len({one.frames for one in batch}) == 1
        assert len(batch) * batch[0].frames <= 20
    assert len(made) == 1 + 1 + 2 + 2 + 2
    assert [len(batch) for batch in batches([Window(0, 0, 90), Window(1, 0, 90)], most=50)] == [1, 1]


def test_what_is_heard_is_joined_in_order():
    def hear(windows: list[Window]) -> list[np.ndarray]:
        return [100 * one.owner + np.arange(one.start, one.start + one.frames) for one in windows]

    made = in_windows([7, 0, 11, 3], 4, hear, np.zeros(0, int), batch=5)
    assert [one.tolist() for one in made] == [[100 * row + t for t in range(n)] for row, n in enumerate([7, 0, 11, 3])]


def test_stacked_rows_end_in_zeros():
    rows = stacked([[1, 2], [3, 4, 5], []], 4)
    assert rows.tolist() == [[1, 2, 0, 0], [3, 4, 5, 0], [0, 0, 0, 0]]
