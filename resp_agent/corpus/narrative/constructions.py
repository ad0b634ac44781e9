"""What words that are plain or the record's state together: a cause, an earlier time, a complaint's place or length.

A sentence is read in an outline, in which a letter stands for each phrase of the record: S for a symptom, H for history
and J for either in a word that may describe a person, E for a sound that is heard, B for what is both felt and heard,
P for a place on the body, N for an entry of plain words.
"""

import re

from resp_agent.corpus.narrative.facts import Facts
from resp_agent.corpus.narrative.vocabulary import words_of

PERSONAL = words_of("""
    smoker smokes nonsmoker diabetic hypertensive obese overweight allergic febrile feverish breathless tired fatigued
    exhausted lethargic weary dyspnoeic dyspneic dizzy confused nauseous nauseated prematurely premature preterm
    hoarse sweaty
""")
"""Last words of phrases that may describe a person, as in "a febrile man"."""

_COMBINED = "wheeze + crackle"
_OF = "(?:(?:a|an|the|this|that|these|his|her|their|its|some|any|both|of) )*"
_NUMBER = r"\d+(?:\.\d+)?"
_SECONDS = rf"{_NUMBER} (?:seconds?|secs?|s)\b"
_BREATHING = "(?:breathing|breaths?|respirations?)"
_IS = "(?:is|are|was|were)"
_ABOUT = "(?:about|around|approximately|roughly)"
_AGE = rf"(?:{_NUMBER} (?:years?|months?) (?:old|of age)|aged? (?:of |: |is )?{_NUMBER}(?: years?| months?)?)"
_RECORDING = r"(?:record(?:ings?|ed)?|audio|clips?|samples?|segments?|sessions?|auscultat\w*|exam\w*)"
_TIE = r"(?:,|and|or|with|as well as|along with|together with)"
_LIST = rf"(?:[SBHJ] (?:, )?(?:{_TIE} )?{_OF})*"
_TELLS = r"(?:report|complain|describ|suffer|mention|experienc|feel|symptom|history|concern|troubled|bothered)\w*"
_WITH = r"(?: (?:of|about|from|with|by|includ\w*|are|is|:|having|feeling|experiencing))*"
_SHOWS = r"(?:contain|captur|reveal|show|includ|demonstrat|detect|identif|featur|record|consist|compris|exhibit)\w*"
_HEARING = (
    r"(?:heard|audible|auscultat\w*|record\w*|sounds?|audio|clips?|listen\w*|breaths?|breathing|captur\w*|detect\w*|"
    r"stethoscope|exam\w*)"
)
# Without a word of these a sentence with a place, or with a sound, tells of no listening.
_LISTENING = rf"(?:{_HEARING}|sites?|locations?|positions?|points?|areas?|regions?)"
_MADE = "(?:taken|made|obtained|acquired|collected|performed)"
_FOUND = rf"(?:{_HEARING}|not\w*|identif\w*|observ\w*|reveal\w*|events?|segments?|samples?|sessions?|findings?|P)"
_ILL = "(?:symptoms?|complaints?|concerns?|complain\\w*|suffer\\w*|troubled|bothered)"
_THINGS = (
    "(?:(?:medical|clinical|respiratory|past|audio) )*(?:history|background|record(?:ings?)?|audio|clip|sample|segment|"
    "session|sounds?|breath|breaths|breathing|cycles?|respirations?|symptoms?|complaints?|concerns?|findings?|events?|"
    "episodes?|visits?|presentation|evaluation|note|condition)"
)

_CAUSE = "it gives a cause, a trigger or an order"
_COURSE = "it tells of an earlier time, a course or how often"
_PLACE = "it gives a symptom, a person or a history a place on the body"
_LENGTH = "it gives a length of time to something other than the recording"
_SOUND = "it tells of a symptom as heard, or of a sound as a symptom"
_OLD = "it gives an age to something other than the patient"
_MORE = "it gives a number that is not the record's"
_CHOICE = "it leaves open which of two holds"
_TOGETHER = "it joins sounds that the record tells apart"
_NONE = "it speaks of symptoms, findings, events or a history, of which the record has none"


def _patterns(*pairs: tuple[str, str]) -> tuple[tuple[str, re.Pattern], ...]:
    return tuple((reason, re.compile(rf"(?<![^ ])(?:{pattern})(?![^ ])")) for reason, pattern in pairs)


_REFUSED = _patterns(
    (_CAUSE, rf"(?<!suffer )(?<!suffers )(?<!suffered )(?<!suffering )from {_OF}[SBHJE]"),
    (_CAUSE, rf"associat\w* (?:with )?{_OF}[HJ]|indicat\w* {_OF}[SHJ]|[HJ] accompan\w* {_OF}(?:{_NUMBER} )?[SBE]"),
    (_CAUSE, rf"[SB] (?:and |is |are )?accompan\w* (?:by )?{_OF}[HJ]"),
    (_CAUSE, rf"(?:assess|evaluat|exam|perform|consult|visit|attend|review|auscultat|appoint)\w* for {_OF}H"),
    (_CAUSE, rf"reasons?(?! (?:for|of) {_OF}(?:visit|consult|attend|present|exam|record|encounter|evaluat|assess))"),
    (_CAUSE, rf"[HJ] [SB]|E [SBJ]|[SB] E(?! {_NUMBER} times)"),
    (_CAUSE, rf"(?:on|upon|when) {_OF}(?:(?:he|she|they|is|are|was|has|had|have) )*{_OF}(?:breathing|[SBHJE])"),
    (_CAUSE, r"while (?:(?:he|she|they|is|are|has|had|have|recorded) )*(?:breathing|[SBHJ])"
             rf"(?! (?:{_IS}|and|,) )"),
    (_CAUSE, rf"[SBJ] (?:{_IS} (?:[a-z]+ )?)?(?:with|during|in|of|from|by|at|to) {_OF}{_BREATHING}"),
    (_CAUSE, rf"[SBHJE] (?:, )?(?:(?:and|is|are|was|were) )*(?:then|follow\w*)(?: (?:by|up|to))? {_OF}[SBHJE]|"
             r"[SBHJE] follow\w*|follow\w* (?:that|this|it|which|them|these)|[SBHJ] at (?:a |the )?[SBHJ]"),
    (_CAUSE, rf"(?:troubled|bothered|suffer\w*|complain\w*|feel\w*|report\w*){_WITH} {_OF}"
             rf"{_BREATHING}(?! sounds?)"),
    (_CAUSE, r"(?:breathing|breath|respiration) (?:symptoms?|complaints?|concerns?|history|(?:is|was) troubled)"),
    (_COURSE, r"(?:past|previous|prior|known) (?!(?:(?:medical|clinical|respiratory|and|or|relevant|past|prior) )*"
              r"(?:history|background|[HJ])(?: |$)|(?:to|for|with|history|case of) )[^ ]+"),
    (_COURSE, rf"known (?:to|for|with)(?: (?:have|be|suffer from))? {_OF}[SBE]"),
    (_COURSE, rf"(?:history|background) (?:of|includ\w*|:|is|has|shows?) {_OF}[SB]"),
    (_COURSE, rf"(?:episodes?|instances?|occurrences?|events?|occasions?) of {_OF}[SBJ]"),
    (_COURSE, r"had been [SBJ]|known$|[SBHJ] occur\w*|on occasions?"),
    (_COURSE, r"(?:his|her|their|the|a|at) last|follow(?:s|ed|ing)? up"),
    (_PLACE, r"P [SH]|S (?:sided )?P"),
    (_PLACE, rf"[SH] (?:in|at|on|over|of|to|across|within|around|from|along|about) {_OF}P"),
    (_PLACE, r"(?:P|respiratory) (?:clinic|patient|case|history|background|subject|physician|clinician|care|person|"
             r"individual|consultation|appointment|visit|encounter)s?"),
    (_PLACE, r"P (?:complaint|concern|symptom|presentation|attention|condition)s?"),
    (_PLACE, r"P (?:is|was) (?:a |the )?(?:main |chief )?(?:complaint|concern|symptom)"),
    (_PLACE, rf"[SH](?: (?!(?:{_LISTENING}|{_MADE}|[EBP])(?: |$))[^ ]+)* P(?!(?: P)*(?: [^ ]+){{0,3}} {_HEARING})"),
    (_PLACE, rf"^(?!(?:.* )?(?:{_LISTENING}|[EB])(?: |$))(?:.* )?P"),
    (_PLACE, r"both(?!(?: [^ ]+){1,7} and )"),
    (_LENGTH, rf"{_SECONDS} (?:(?:of|long) {_OF})[SBHJE]|(?:^|(?:an?|the|this|his|her|their|one|of|with) )"
              rf"{_SECONDS} [SBHJE]"),
    (_LENGTH, rf"[SBE](?:(?! (?:{_RECORDING}|{_SECONDS}|during|over|in|and|[P,;:]) ) [^ ]+)*? (?:for|last\w*|span\w*|"
              rf"of|length|duration)(?: (?:for|of|is|{_ABOUT}))* {_SECONDS}(?! {_RECORDING})"),
    (_LENGTH, rf"S (?:over|in|within|during|across) {_OF}(?:{_ABOUT} )?{_SECONDS}(?! {_RECORDING})"),
    (_SOUND, rf"{_TELLS}{_WITH} (?:{_NUMBER} )?{_OF}{_LIST}{_OF}(?:P )?E(?! {_NUMBER} times| {_IS} {_HEARING})"),
    (_SOUND, rf"present(?:s|ed|ing|ation)? (?:with|for) {_OF}{_LIST}{_OF}(?:P )?E(?! {_IS} {_HEARING})"),
    (_SOUND, r"S (?:sounds?|events?|episodes?|instances?)|S (?:is|are|was|were) (?:also )?(?:heard|audible|captured|"
             r"detected|picked up)|S (?:are|were) (?:also )?recorded"),
    (_SOUND, r"S (?:is|was) recorded (?:at|over|on|in|for|during)|S (?:recordings?|audio|clips?)"),
    (_SOUND, rf"(?:recordings?|sounds?|audio|clips?|samples?|segments?) of {_OF}{_LIST}{_OF}S"),
    (_SOUND, rf"E (?:, (?:and |with )?|and |with |in |of |at |from |on |over |during ){_OF}[SJ]"),
    (_SOUND, rf"(?:seen|attend\w*|attention|care|consult\w*|visits?|evaluat\w*|assess\w*|c[ao]mes?) for {_OF}E"),
    (_SOUND, rf"(?:heard|audible) (?:in|at|over|from) {_OF}S"),
    (_SOUND, rf"^(?!(?:.* )?{_FOUND}(?: |$))(?!.*\d (?:[a-z]+ ){{0,2}}E)(?!.*E (?:\( )?\d)(?:.* )?E"),
    (_SOUND, rf"{_RECORDING}(?: P)* (?:(?:that|which|also) )?{_SHOWS} {_OF}(?:[SBEHJ] (?:, )?(?:{_TIE} )?{_OF})*S"),
    (_SOUND, rf"S (?:(?:is|are|was|were) )?(?:[a-z]+ )?(?:during|in|on|over|within) {_OF}(?:{_SECONDS} )?{_RECORDING}"),
    (_SOUND, rf"[SHJ] (?:is|are|was|were) (?:heard|audible) (?:at|over|in|on) {_OF}P"),
    (_SOUND, rf"E (?:(?:is|are|was|were) (?:heard|noted|recorded|present|detected) )?(?:in|of|during|on) {_OF}"
             rf"(?:{_NUMBER} )?(?:normal|clear|vesicular)"),
    (_OLD, rf"{_NUMBER} (?:year|month) old (?:{_THINGS}|[SBHEP])|[SBHE] aged?"),
    (_OLD, rf"(?:over|to|from|by|until|into|within|at|or|on|upon|after|before) {_OF}"
           rf"(?:{_NUMBER} (?:years|months) (?:old|of age)|{_NUMBER} month of age|aged? (?:of )?{_NUMBER})"),
    (_OLD, rf"{_AGE} or [^ ]+"),
    (_MORE, rf"(?:over|to|from) {_NUMBER} (?:[a-z]+ )?E"),
    (_CHOICE, rf"[SBHJE] or {_OF}[SBHJE]"),
)  # fmt: skip
_JOINED = _patterns(
    (_TOGETHER, r"(?:combin|overlap|simultan|concurrent)\w* (?:[a-z]+ )?E"),
    (_TOGETHER, r"E(?: (?:is|are|was|were|heard|recorded|noted|present|occur\w*|and|also|with|that|which|,|E))*"
                r" (?:combin|overlap|simultan|concurrent)\w*"),
)  # fmt: skip
_NO_SYMPTOMS = _patterns((_NONE, _ILL))
_NO_EVENTS = _patterns((_NONE, "(?:events?|episodes?|instances?|occurrences?)"))
_NO_FINDINGS = _patterns((_NONE, "findings?"))
_NO_HISTORY = _patterns((_NONE, "(?:history|background)"))


def false_constructions(outline: list[str], words: list[str], facts: Facts) -> list[tuple[str, str]]:
    """What a sentence states by how its words stand together, though the record does not: a reason and words for each.

    Args:
        outline: for each word itself, a letter for the first word of a phrase of the record, nothing for its others.
        words: the sentence, folded.
        facts: the record.
    """
    kept = [at for at, shown in enumerate(outline) if shown]
    line = " ".join(outline[at] for at in kept)
    patterns = _REFUSED
    if not any(kind == _COMBINED for kind, _ in facts.events):
        patterns += _JOINED
    if not facts.symptoms and not facts.history:
        patterns += _NO_SYMPTOMS
        if not facts.events and not facts.normal_breaths:
            patterns += _NO_FINDINGS
    if not facts.events:
        patterns += _NO_EVENTS
    if not facts.history:
        patterns += _NO_HISTORY
    false = []
    for reason, pattern in patterns:
        if found := pattern.search(line):
            start, end = (line[:place].count(" ") for place in (found.start(), found.end()))
            behind = kept[end + 1] if end + 1 < len(kept) else len(words)
            false.append((reason, " ".join(words[kept[start] : behind])))
    return false
