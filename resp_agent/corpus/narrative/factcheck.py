"""Whether a narrative may stand: everything that it states is in the record, and nothing in it gives the label away.

The world is closed. A word is neutral, or it states something that the record holds, or the narrative falls; so do
leaks that nobody thought of.
"""

import re
from collections.abc import Iterable

from resp_agent.corpus.narrative.facts import Facts
from resp_agent.corpus.narrative.giveaways import identifies, names_condition, names_test, plain
from resp_agent.corpus.narrative.reading import is_common, read_sentences

MOST_WORDS = 120
MOST_SENTENCES = 6
_PLAIN = re.compile(r"[A-Za-z0-9 .,;:()'/+-]*")
_MIXED = re.compile(r"[a-z]\d|\d(?!s\b)[a-z]", re.I)
_MARKS = re.compile(
    r"\.(?![ \d]|$)|(?<!\d)\.\d|[.,;:]\s*[.,;:]|(?:^|\s)[-+/]|[-/](?:\s|$)|//|--|\s[.,;:)]|\(\s"
    # A letter with a full stop is an initial, unless it is the unit of seconds.
    r"|(?<![a-z0-9])[a-rt-z]\.",
    re.I,
)


def faults(text: str, facts: Facts, label: str, identifiers: Iterable[str] = ()) -> list[str]:
    """Every reason why a text may not stand as the narrative of a record, in words that give nothing away.

    Args:
        text: the narrative; invisible and control characters are read as if they were not there.
        facts: what the record tells.
        label: of the record, or another word for none; every label's names are refused whichever it is.
        identifiers: of the record: patient, recording, file, source.

    Returns:
        Reasons, each once; empty if the text may stand.
    """
    found = _form(text)
    line = plain(text)
    given_away, stated = [], []
    if names_condition(line, label):
        given_away.append("it names a condition")
    if names_test(line):
        given_away.append("it names a test, a result or a diagnosis")
    if identifies(line, identifiers, lambda word: is_common(word, facts)):
        given_away.append("it holds a name, a date or an identifier")
    for sentence in read_sentences(line, facts):
        stated += sentence.false
        stated += [("it has a word that is neither plain nor the record's", word) for word in sentence.unknown]
    # Beside a leak any word may be a part of it, so none is repeated.
    reasons = [reason if given_away else f"{reason}: {word!r}" for reason, word in stated]
    return list(dict.fromkeys([*found, *given_away, *reasons]))


def _form(text: str) -> list[str]:
    line, reasons = plain(text), []
    words = re.findall("[A-Za-z0-9]+", line)
    if not words:
        return ["it is empty"]
    if re.search(r"[\n\r\v\f\x85\u2028\u2029]", text.strip()):
        reasons.append("it has more than one line")
    if not _PLAIN.fullmatch(line):
        reasons.append("it has characters other than plain English letters, digits and punctuation")
    if _MIXED.search(line):
        reasons.append("it mixes letters and digits in a word")
    if _MARKS.search(line):
        reasons.append("its punctuation is not that of plain sentences")
    if not line.endswith("."):
        reasons.append("it does not end with a full stop")
    if len(words) > MOST_WORDS:
        reasons.append(f"it has more than {MOST_WORDS} words")
    if len(re.findall(r"\.(?= |$)", line)) > MOST_SENTENCES:
        reasons.append(f"it has more than {MOST_SENTENCES} sentences")
    return reasons
