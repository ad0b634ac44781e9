"""Words that state nothing, words that no narrative may hold, and numbers in words.

A narrative is made of neutral words and of what `meanings` lists. There are no negations, no severity, no course and no
times but the age's and the recording's.
"""

Phrase = tuple[str, ...]


def words_of(text: str) -> frozenset[str]:
    """The words of a text between blanks."""
    return frozenset(text.split())


def phrases_of(text: str) -> list[Phrase]:
    """The phrases of a text between semicolons, each as its words."""
    return [tuple(phrase.split()) for phrase in text.split(";")]


def _inflected(verb: str) -> set[str]:
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return {verb, f"{verb[:-1]}ies", f"{verb[:-1]}ied", f"{verb}ing"}
    stem = verb.removesuffix("e")
    third = f"{verb}es" if verb.endswith(("s", "sh", "ch", "x")) else f"{verb}s"
    return {verb, third, f"{stem}ed", f"{stem}ing"}


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


_FUNCTION = """
    a an the this that these those there it its itself they their them themself themselves who whom whose which
    where when while during with and or but as at by for from in into of on onto amid among over to upon within via
    is are was were be been being am has have had having can also both such including plus then some about around
    approximately roughly along alongside together additionally further furthermore moreover namely likewise
    respectively concurrently simultaneously overlapping combined using according
"""
_VERBS = """
    present report describe note attend examine record auscultate listen complain experience mention evaluate assess
    review detect observe identify capture document reveal show demonstrate include contain feature obtain perform visit
    consult accompany associate consist comprise last span exhibit display state suffer feel indicate occur involve
    follow appear list collect acquire register count characterise characterize
"""
_NOUNS = """
    patient individual person subject case clinic visit consultation appointment assessment evaluation examination exam
    auscultation stethoscope recording audio clip sample segment session sound breath cycle respiration symptom
    complaint concern finding history background presentation site location position point area region field zone note
    summary event episode instance occurrence total length duration presence combination attention care reason record
    encounter occasion clinician physician feature set description sex gender
"""
_OTHERS = """
    breathing seen seeks seeking sought heard found taken come comes came brought felt undergoes undergoing underwent
    made drawn placed audible apparent noticeable evident notable noted relevant known past previous prior medical
    clinical respiratory auscultatory physical chief main accompanying concurrent concomitant separate individual
    distinct troubled bothered occurred occurring spanned spanning shown
"""
NEUTRAL = (
    words_of(_FUNCTION + _OTHERS)
    | {form for verb in _VERBS.split() for form in _inflected(verb)}
    | {form for noun in _NOUNS.split() for form in (noun, _plural(noun))}
)
"""Words that state nothing."""
NEUTRAL_PHRASES = frozenset(
    phrases_of(
        "lung sound; lung sounds; chest sound; chest sounds; lung auscultation; chest auscultation; "
        "auscultation of the chest; auscultation of the lungs; pulmonary auscultation; carried out; picked up; "
        "at the time of; as well as; in addition; significant for; remarkable for; significant history; "
        "significant past medical history"
    )
)
"""Phrases that state nothing, though words of theirs would."""

SEVERITY = words_of("""
    mild mildly moderate moderately severe severely severity acute acutely subacute chronic chronically recurrent
    recurring progressive progressively worsening worse worsened persistent persistently continuous continuously
    intermittent intermittently occasional occasionally frequent frequently constant constantly stable unstable critical
    serious intense slight marked significant sudden gradual new recent recently ongoing longstanding improving improved
    resolved resolving episodic seasonal nocturnal exertional
""")
"""Words of severity and course, which only an entry of the record itself may hold."""
NEGATION = words_of("""
    no not non none never neither nor nothing nobody without denies denied denying deny absent absence lack lacks
    lacking free except unlikely cannot unremarkable isn't wasn't doesn't didn't don't hasn't haven't aren't weren't
""")
"""Words that deny; a narrative says what there is."""
TIME = words_of("""
    day days daily week weeks weekly month months monthly year years yearly hour hours minute minutes second seconds
    today yesterday tonight morning evening night nights since ago decade decades century onset
""")
"""Words of time, which the age's and the recording's numbers alone explain."""

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
UNITS = {word: number for number, word in enumerate(_UNITS.split())} | {"single": 1}
"""Numbers from zero to nineteen, in words."""
TENS = {word: 10 * number for number, word in enumerate(_TENS.split(), 2)}
"""Numbers from twenty to ninety, in words."""
DECADES = {f"{word[:-1]}ies": number for word, number in TENS.items()}
"""Decades of life, in words."""
AT_LEAST = {"multiple": 2, "several": 3}
"""Words for a number -> the least that they say."""
