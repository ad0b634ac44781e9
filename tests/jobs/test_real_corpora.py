"""The whole loop on real recordings in their original layouts, one of them made unreadable."""

import json
import shutil

import pytest

from jobs.curriculum import main


@pytest.mark.slow
@pytest.mark.corpora
def test_a_run_on_sprsound_and_icbhi_reaches_its_report(shared, tmp_path):
    sources = tmp_path / "sprsound"
    shutil.copytree(shared / "corpora" / "sprsound", sources)
    broken = next(
        path
        for path in sorted((sources / "train_wav").glob("*.wav"))
        if "Poor Quality" not in (sources / "train_json" / f"{path.stem}.json").read_text()
    )
    broken.write_bytes(b"RIFF of nothing")
    icbhi = shared / "corpora" / "icbhi2017"
    out = tmp_path / "run"
    arguments = ["--preset", "smoke", "--lab", "local", "--budget", "6", "--out", str(out)]
    assert main([*arguments, "--corpus", f"sprsound={sources},icbhi={icbhi}"]) == 0

    summary = json.loads((out / "summary.json").read_text())
    assert summary["clips"] == summary["budget"] == 6
    assert summary["quarantined"] == 1
    assert set(summary["test_labels"]) >= {"pneumonia", "COPD", "asthma"}
    low, high = summary["test_macro_f1_ci95"]
    assert 0 <= low <= high <= 1
    page = (out / "report.html").read_text()
    assert broken.name in page
    assert "COPD" in page
