"""What the phrases of a narrative state: symptoms and history, sounds, sites, persons."""

import math

from resp_agent.corpus.narrative.vocabulary import Phrase, phrases_of, words_of

_SYMPTOMS = {
    "cough": "cough; coughs; coughing; coughed",
    "sputum": "sputum; phlegm; sputum production; phlegm production; mucus production; productive; "
    "expectoration; expectorates; expectorating; coughing up phlegm; "
    "coughs up phlegm; coughing up sputum; coughs up sputum; brings up phlegm; "
    "bringing up phlegm; brings up sputum; bringing up sputum",
    "fever": "fever; fevers; febrile; feverish; feverishness; pyrexia; high temperature; raised temperature; "
    "elevated temperature; elevated body temperature",
    "shortness of breath": "shortness of breath; short of breath; breathlessness; breathless; dyspnoea; dyspnea; "
    "dyspnoeic; dyspneic; difficulty breathing; difficulty in breathing; breathing difficulty; breathing difficulties; "
    "difficulty with breathing; trouble breathing; breathing trouble",
    "chest tightness": "chest tightness; tightness in the chest; tightness of the chest; tight chest; tight chested; "
    "tightness across the chest; tightness",
    "tightness": "tightness",
    "chest pain": "chest pain; chest pains; pain in the chest; painful chest; chest discomfort; "
    "discomfort in the chest; sore chest; pain",
    "runny nose": "runny nose; rhinorrhoea; rhinorrhea; nasal discharge; running nose",
    "blocked nose": "blocked nose; nasal congestion; stuffy nose; congested nose; nasal obstruction",
    "sore throat": "sore throat; throat pain; throat soreness; painful throat; throat discomfort",
    "fatigue": "fatigue; fatigued; tired; tiredness; exhaustion; exhausted; lethargy; lethargic; lack of energy; weary",
    "headache": "headache; headaches; head pain",
    "muscle pain": "muscle pain; muscle pains; myalgia; myalgias; muscle aches; muscle ache; aching muscles; "
    "body aches; pain",
    "joint pain": "joint pain; joint pains; arthralgia; pain",
    "abdominal pain": "abdominal pain; stomach pain; tummy ache; stomach ache; abdominal discomfort; pain",
    "back pain": "back pain; backache; pain in the back; pain",
    "ear pain": "ear pain; earache; otalgia; pain",
    "diarrhoea": "diarrhoea; diarrhea; loose stools",
    "vomiting": "vomiting; vomits; vomited; emesis",
    "nausea": "nausea; nauseous; nauseated",
    "loss of smell": "loss of smell; anosmia; lost sense of smell; lost the sense of smell; "
    "loss of the sense of smell; loss of sense of smell",
    "loss of taste": "loss of taste; ageusia; lost sense of taste; lost the sense of taste; "
    "loss of the sense of taste; loss of sense of taste",
    "loss of appetite": "loss of appetite; poor appetite; reduced appetite; anorexia",
    "night sweats": "night sweats; sweating at night; nocturnal sweating; sweats",
    "sweats": "sweats; sweating; sweaty",
    "weight loss": "weight loss; loss of weight; losing weight; lost weight",
    "chills": "chills; shivering; shivers; rigors",
    "sneezing": "sneezing; sneezes",
    "hoarseness": "hoarseness; hoarse; hoarse voice; dysphonia",
    "dizziness": "dizziness; dizzy; light headedness; lightheadedness",
    "palpitations": "palpitations; racing heart",
    "rash": "rash; skin rash",
    "noisy breathing": "noisy breathing",
    "confusion": "confusion; confused",
    "difficulty swallowing": "difficulty swallowing; dysphagia; trouble swallowing",
    "former smoker": "former smoker; ex smoker; previous smoker; past smoker; formerly smoked; used to smoke; "
    "previously smoked; has smoked in the past; smoked in the past; smoked previously; quit smoking; stopped smoking; "
    "gave up smoking; given up smoking; prior smoker; prior smoking; smoking in the past; smoker in the past; "
    "former smoking; previous smoking; past smoking; history of smoking; smoking history; "
    "history of former smoking; history of previous smoking; history of past smoking",
    "current smoker": "current smoker; smoker; smokes; smoking; active smoker; currently smokes; current smoking; "
    "continues to smoke; still smokes; smoking habit; current smoking habit; current smoking history; "
    "currently smoking; active smoking; history of smoking; smoking history; history of current smoking",
    "never smoker": "never smoker; never smoked; has never smoked; non smoker; nonsmoker",
    "allergic rhinitis": "allergic rhinitis; hay fever; hayfever; nasal allergies; nasal allergy",
    "eczema": "eczema; atopic dermatitis; atopic eczema",
    "premature birth": "premature birth; born prematurely; prematurely born; preterm birth; born preterm; "
    "born premature; prematurity; preterm delivery; premature delivery",
    "hypertension": "hypertension; hypertensive; high blood pressure; raised blood pressure; elevated blood pressure",
    "diabetes": "diabetes; diabetic; diabetes mellitus",
    "reflux": "reflux; acid reflux; gastric reflux; gastroesophageal reflux; gastro oesophageal reflux; "
    "gastrooesophageal reflux; gastro esophageal reflux; heartburn",
    "heart disease": "heart disease; cardiac disease",
    "obesity": "obesity; obese; overweight",
    "allergies": "allergies; allergy; allergic",
    "wheeze": "wheeze; wheezes; wheezing; wheezy; wheezed",
    "stridor": "stridor",
}
SYMPTOMS: dict[Phrase, frozenset[str]] = {
    phrase: frozenset(meaning for meaning, text in _SYMPTOMS.items() if phrase in phrases_of(text))
    for phrases in _SYMPTOMS.values()
    for phrase in phrases_of(phrases)
}
"""Phrase -> symptoms and history that it may mean; the record must hold one of them."""

_CRACKLES = words_of("crackle crackles crackling crepitation crepitations crepitant crepitus crep creps rale rales")
_ADVENTITIOUS = phrases_of(
    "adventitious; adventitious sound; adventitious sounds; adventitious breath sound; adventitious breath sounds; "
    "adventitious lung sound; adventitious lung sounds; adventitious respiratory sounds; adventitious event; "
    "adventitious events; added sound; added sounds; added breath sounds; abnormal sound; abnormal sounds; "
    "abnormal breath sound; abnormal breath sounds; abnormal lung sound; abnormal lung sounds; "
    "abnormal respiratory sounds"
)


def _events() -> dict[Phrase, tuple[frozenset[str], ...]]:
    fine, coarse, rub = ({"fine crackle"}, {"coarse crackle"}, {"rub"})
    combined = {"wheeze + crackle"}
    table: dict[Phrase, tuple[set[str], ...]] = {
        **dict.fromkeys(phrases_of("wheeze; wheezes; wheezing; wheezy; wheezed"), ({"wheeze"} | combined,)),
        **dict.fromkeys(phrases_of("rhonchus; rhonchi; rhonchal"), ({"rhonchus"},)),
        **dict.fromkeys(phrases_of("stridor; stridors; stridorous; stridulous"), ({"stridor"},)),
        **dict.fromkeys(phrases_of("rub; rubs; friction rub; friction rubs"), (rub,)),
        **dict.fromkeys(phrases_of("cough; coughs; coughing; coughed"), ({"cough"},)),
        **dict.fromkeys(_ADVENTITIOUS, (fine | coarse | combined | rub | {"wheeze", "rhonchus", "stridor"},)),
    }
    for word in _CRACKLES:
        table[word,] = (fine | coarse | combined,)
        table |= {("fine", word): (fine,), ("coarse", word): (coarse,)}
        table |= {("fine", "and", "coarse", word): (fine, coarse), ("coarse", "and", "fine", word): (coarse, fine)}
    for wheeze in ("wheeze", "wheezes", "wheezing"):
        for crackle in ("crackle", "crackles", "crackling", "crepitations"):
            table["combined", wheeze, "and", crackle] = table["combined", wheeze, "with", crackle] = (combined,)
    return {phrase: tuple(frozenset(group) for group in groups) for phrase, groups in table.items()}


EVENTS = _events()
"""Phrase -> groups of event kinds; of each group the record must hold a kind."""

_SITES = {
    "chest": "chest; chests; thorax; thoracic; hemithorax; hemithoraces; lung; lungs; chest wall",
    "trachea": "trachea; tracheal; windpipe; neck",
    "left": "left; left side; left sided; left hand side",
    "right": "right; right side; right sided; right hand side",
    "both": "bilateral; bilaterally; both lungs; both sides; both hemithoraces",
    "anterior": "anterior; anteriorly; front; frontal",
    "posterior": "posterior; posteriorly; back",
    "lateral": "lateral; laterally; side; sides",
    "upper": "upper; superior",
    "middle": "middle; mid",
    "lower": "lower; inferior",
    "base": "base; bases; basal; basilar; bibasal; bibasilar",
    "apex": "apex; apices; apical",
    "lobe": "lobe; lobes; lobar",
    "sternum": "sternum; sternal; parasternal; retrosternal; suprasternal",
    "scapula": "scapula; scapular; interscapular; subscapular; infrascapular; suprascapular",
    "axilla": "axilla; axillary; midaxillary",
    "clavicle": "clavicle; clavicular; infraclavicular; supraclavicular; midclavicular",
    "mouth": "mouth; oral",
    "nose": "nose; nasal; nostril",
    "throat": "throat; larynx; laryngeal",
}
SITES: dict[Phrase, str] = {phrase: place for place, text in _SITES.items() for phrase in phrases_of(text)}
"""Phrase -> the part of the body, or the direction, that it states."""

_PEOPLE: dict[str, tuple[str | None, tuple[float, float] | None]] = {
    "he him his himself male males": ("male", None),
    "she her hers herself female females": ("female", None),
    "man gentleman": ("male", (18, math.inf)),
    "woman lady": ("female", (18, math.inf)),
    "boy": ("male", (0, 18)),
    "girl": ("female", (0, 18)),
    "child kid youngster pediatric paediatric": (None, (0, 18)),
    "newborn neonate neonatal": (None, (0, 1 / 12)),
    "infant baby": (None, (0, 2)),
    "toddler": (None, (1, 4)),
    "preschooler preschool": (None, (3, 6)),
    "schoolchild": (None, (5, 18)),
    "adolescent adolescence": (None, (10, 20)),
    "teenager teenage teenaged teen": (None, (13, 20)),
    "young": (None, (0, 36)),
    "adult": (None, (18, math.inf)),
    "older": (None, (60, math.inf)),
    "elderly senior geriatric": (None, (65, math.inf)),
}
PEOPLE: dict[Phrase, tuple[str | None, tuple[float, float] | None]] = {
    (word,): stated for words, stated in _PEOPLE.items() for word in words_of(words)
} | {("middle", "aged"): (None, (40, 65)), ("school", "aged"): (None, (5, 18))}
"""Phrase -> the sex that it states, and the ages in years, from the first to below the second."""
