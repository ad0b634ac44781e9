"""The 16 classes, the event kinds, and every source's labels mapped onto them."""

CONTROL = "control group"

LABELS = (
    CONTROL,
    "COVID-19",
    "pneumonia",
    "COPD",
    "asthma",
    "bronchitis",
    "bronchiolitis",
    "bronchiectasis",
    "upper respiratory tract infection",
    "lower respiratory tract infection",
    "chronic cough",
    "hemoptysis",
    "airway foreign body",
    "pulmonary hemosiderosis",
    "protracted bacterial bronchitis",
    "other respiratory disease",
)
"""Labels in a fixed order: 15 conditions and the control group (Resp-229k)."""

EVENT_KINDS = (
    "fine crackle",
    "coarse crackle",
    "wheeze",
    "wheeze + crackle",
    "rhonchus",
    "stridor",
    "cough",
    "rub",
)
"""What is marked with start and end. Normal breaths are counted, not stored."""

SOURCE_LABELS: dict[str, dict[str, str]] = {
    "icbhi": {
        "Healthy": CONTROL,
        "Asthma": "asthma",
        "Bronchiectasis": "bronchiectasis",
        "Bronchiolitis": "bronchiolitis",
        "COPD": "COPD",
        "LRTI": "lower respiratory tract infection",
        "Pneumonia": "pneumonia",
        "URTI": "upper respiratory tract infection",
    },
    "sprsound": {
        "Control Group": CONTROL,
        "Asthma": "asthma",
        "Bronchitis": "bronchitis",
        "Bronchiolitis": "bronchiolitis",
        "Bronchiectasis": "bronchiectasis",
        "Pneumonia (non-severe)": "pneumonia",
        "Pneumonia (severe)": "pneumonia",
        "Acute upper respiratory infection": "upper respiratory tract infection",
        "Chronic cough": "chronic cough",
        "Hemoptysis": "hemoptysis",
        "Airway foreign body": "airway foreign body",
        "Pulmonary hemosiderosis": "pulmonary hemosiderosis",
        "Protracted bacterial bronchitis": "protracted bacterial bronchitis",
        "Other respiratory diseases": "other respiratory disease",
    },
}
"""Per source: its own word for a condition -> the label here."""

SOURCE_EVENTS: dict[str, dict[str, str]] = {
    # ICBHI does not say fine or coarse. Its patients are mostly adults with COPD and bronchiectasis, where crackles are
    # early and coarse (Bohadana et al., NEJM 2014), so that is the likelier word.
    "icbhi": {
        "crackles": "coarse crackle",
        "wheezes": "wheeze",
        "wheezes + crackles": "wheeze + crackle",
    },
    "sprsound": {
        "Fine Crackle": "fine crackle",
        "Coarse Crackle": "coarse crackle",
        "Wheeze": "wheeze",
        "Wheeze+Crackle": "wheeze + crackle",
        "Rhonchi": "rhonchus",
        "Stridor": "stridor",
    },
}
"""Per source: its own word for an adventitious sound -> the event kind here. "Normal" is counted, not mapped."""


def label_of(source: str, source_label: str) -> str:
    """The label for a source's own word.

    Raises:
        KeyError: the word is not in the table; the message names source and word.
    """
    try:
        return SOURCE_LABELS[source][source_label]
    except KeyError:
        raise KeyError(f"{source} calls a condition {source_label!r}, which the taxonomy does not map") from None
