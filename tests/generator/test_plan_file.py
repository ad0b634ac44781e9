"""Plans: what a row asks for, and every wrong row told at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.curriculum.request import Request
from resp_agent.errors import UserError
from resp_agent.generator.plan_file import SHOWN, in_parts, read_plan, refuse_unknown
from resp_agent.randomness import seed_of


def plan(tmp_path, text: str, encoding: str = "utf-8"):
    path = tmp_path / "plan.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_rows_are_requests(tmp_path):
    text = "style,label,count,content,duration_s,hardness,seed\nbell,asthma,3,,,,\nphone, COPD ,1,planned,2.5,0.5,7\n"
    for encoding in ("utf-8", "utf-8-sig"):
        assert read_plan(plan(tmp_path, text, encoding), "exemplar", 4) == [
            Request("asthma", "bell", 3, seed_of(4, "plan", 0), "exemplar", 0.0, None),
            Request("COPD", "phone", 1, 7, "planned", 0.5, 2.5),
        ]


def test_all_wrong_rows_are_told_by_their_lines(tmp_path):
    rows = "asthma,bell,1,", ",bell,1,", "asthma,bell,two,", "asthma,bell,0,", "asthma,bell,1,600", "asthma,bell,1,1,9"
    text = "\n".join(["label,style,count,duration_s", *rows])
    with pytest.raises(UserError) as told:
        read_plan(plan(tmp_path, text), "exemplar", 0)
    for part in (
        "line 3: it names no label",
        "line 4: its count 'two' is no whole number",
        "line 5: a request asks for at least one clip",
        "line 6: a duration of 600 s is outside",
        "line 7: it has 5 fields",
    ):
        assert part in str(told.value)
    assert "line 2" not in str(told.value)


def test_rows_that_ask_for_the_same_clips_are_refused(tmp_path):
    """The shorter request is the beginning of the longer one."""
    rows = (
        "asthma,bell,2,7",
        "asthma,bell,40,7",
        "asthma,bell,2,8",
        "asthma,phone,2,7",
        "asthma,bell,2,",
        "asthma,bell,2,",
    )
    with pytest.raises(UserError) as told:
        read_plan(plan(tmp_path, "\n".join(["label,style,count,seed", *rows])), "exemplar", 0)
    assert str(told.value).endswith("wrong rows: line 3: it asks for the clips of line 2 again: give it another seed")


def test_many_wrong_rows_are_counted(tmp_path):
    with pytest.raises(UserError, match=r"and 5 more$"):
        read_plan(plan(tmp_path, "label,style,count\n" + "a,b,x\n" * (SHOWN + 5)), "exemplar", 0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no rows"),
        ("label,style,count\n", "has no rows"),
        ("label,style\na,b\n", "has no column 'count'"),
        ("label,style,count,volume\na,b,1,2\n", "has an unknown column 'volume'"),
    ],
)
def test_a_table_that_is_no_plan_is_refused(tmp_path, text, sentence):
    with pytest.raises(UserError, match=sentence):
        read_plan(plan(tmp_path, text), "exemplar", 0)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "plan.csv"
    path.write_bytes(b"\xff\xfe\x00label")
    with pytest.raises(UserError, match="cannot be read"):
        read_plan(path, "exemplar", 0)


@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 2**63))
def test_parts_ask_for_as_much_and_draw_apart(count, most, seed):
    whole = Request("asthma", "bell", count, seed, "exemplar", 0.25, 2.0)
    parts = in_parts([whole], most)
    assert sum(part.count for part in parts) == count
    assert all(part.count <= most for part in parts)
    assert len({part.seed for part in parts}) == len(parts)
    assert {(part.label, part.style, part.content, part.hardness, part.duration_s) for part in parts} == {
        ("asthma", "bell", "exemplar", 0.25, 2.0)
    }
    # A longer request begins with the same clips.
    assert (
        in_parts([Request("asthma", "bell", count + most, seed, "exemplar", 0.25, 2.0)], most)[0].seed == parts[0].seed
    )


def test_what_was_never_heard_is_named():
    refuse_unknown([Request("asthma", "bell", 1, 0)], ["asthma"], ["bell"])
    with pytest.raises(
        UserError, match=r"label 'COPD', none in the style 'phone': its labels are asthma; its styles are bell"
    ):
        refuse_unknown([Request("COPD", "phone", 1, 0)], ["asthma"], ["bell"])
