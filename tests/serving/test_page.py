"""The page of the service in a real browser, against canned answers."""

import io
import os
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile as sf
from matplotlib import colormaps
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.serving.browsing import Page, open_browser
from tests.serving.fake_service import RUN, FakeService, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def driver():
    driver = open_browser()
    yield driver
    driver.quit()


@pytest.fixture
def service():
    with serving(FakeService()) as service:
        yield service


@pytest.fixture
def page(driver, service, tmp_path):
    """The page, opened; complaints of the console fail the test. PAGE_PICTURES names a folder that keeps pictures."""
    pictures = Path(os.environ.get("PAGE_PICTURES", tmp_path))
    pictures.mkdir(parents=True, exist_ok=True)
    page = Page(driver, service.address, pictures)
    page.media()
    page.open()
    yield page
    assert page.console() == []


@pytest.fixture
def breath(tmp_path) -> Path:
    """Six seconds of noise that swells twice, as WAV of 8 kHz."""
    time = np.arange(6 * 8000) / 8000
    wave = 0.2 * np.random.default_rng(3).standard_normal(len(time)) * np.sin(np.pi * time / 3) ** 2
    sf.write(tmp_path / "breath.wav", wave, 8000)
    return tmp_path / "breath.wav"


def test_a_real_recording_is_diagnosed_and_the_answer_can_be_read(page, service, shared):
    recording = sorted((shared / "corpora/sprsound").rglob("*.wav"))[0]
    page.find("#file").send_keys(str(recording))
    page.js("document.querySelector('#diagnose details').open = true")
    page.find("#age").send_keys("63")
    page.find("#symptoms").send_keys("cough; fever")
    page.find("#diagnose-form [type=submit]").click()
    page.until_text("#diagnosis", "asthma")

    path, fields = service.asked[-1]
    assert (path, fields["file"]) == ("/v1/diagnose", (recording.name, recording.read_bytes()))
    assert {name: fields[name] for name in fields if name != "file"} == {"age_years": "63", "symptoms": "cough; fever"}
    shown = page.text("#diagnosis")
    assert "61 %, calibrated: of 100 such answers about 61 are right." in shown
    assert "Warning: The recording is quiet: −48 dBFS." in shown
    assert "asthma 61.0 %" in " ".join(page.text(".probabilities").split())
    assert "Counted most: fever. (1.00), and (0.83), cough (0.67)." in shown
    assert page.js("return document.querySelector('.word .unseen').textContent") == " (0.00)"
    assert page.js("return document.activeElement.id") == "diagnosis-title"
    assert "Relevance is highest at 0.9–2.3 s (1.00)" in page.find("#diagnosis canvas").get_attribute("aria-label")
    page.check("diagnosis")


def test_a_narrative_of_ones_own_is_sent_in_place_of_the_fields(page, service, breath):
    page.find("#file").send_keys(str(breath))
    page.js("document.querySelector('#diagnose details').open = true")
    page.find("#age").send_keys("40")
    page.find("#narrative").send_keys("Short of breath since Monday.")
    page.find("#diagnose-form [type=submit]").click()
    page.until_text("#diagnosis", "asthma")
    assert {*service.asked[-1][1]} == {"file", "narrative"}


def test_the_player_moves_the_cursor_over_the_picture(page, breath):
    page.find("#file").send_keys(str(breath))
    page.find("#diagnose-form [type=submit]").click()
    page.until_text("#diagnosis", "asthma")
    left = "return parseFloat(getComputedStyle(document.querySelector('.cursor')).left)"
    start = page.js(left)
    page.js("return document.querySelector('#diagnosis audio').play()")
    page.until(lambda: page.js(left) > start + 5)
    page.js("document.querySelector('#diagnosis audio').pause()")
    picture = page.find("#diagnosis .picture")
    ActionChains(page.driver).move_to_element(picture).click().perform()
    assert page.js("return document.querySelector('#diagnosis audio').currentTime") == pytest.approx(3, abs=0.2)


def test_what_the_microphone_hears_is_sent_as_wav(page, service):
    page.find("#record").click()
    page.until(lambda: page.text("#record-time") > "1.0 s")
    page.find("#record").click()
    page.until_text("#chosen", "recording.wav")
    page.find("#diagnose-form [type=submit]").click()
    page.until_text("#diagnosis", "asthma")
    name, audio = service.asked[-1][1]["file"]
    waveform, rate = sf.read(io.BytesIO(audio))
    assert (name, rate, waveform.ndim, sf.info(io.BytesIO(audio)).subtype) == ("recording.wav", 16000, 1, "PCM_16")
    assert len(waveform) > 0.8 * rate
    assert np.abs(waveform).max() > 0.05


def test_a_dropped_file_is_sent(page, service):
    drop = """
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([new Uint8Array(arguments[0])], "dropped.mp3"));
    const given = { dataTransfer, bubbles: true, cancelable: true };
    for (const type of ["dragover", "drop"]) document.querySelector("#drop").dispatchEvent(new DragEvent(type, given));
    """
    page.js(drop, list(b"words, not audio"))
    assert page.text("#chosen") == "Chosen: dropped.mp3, 1 kB."
    page.find("#diagnose-form [type=submit]").click()
    page.until_text("#diagnose-form .problem", "dropped.mp3 is not audio")
    assert service.asked[-1][1]["file"] == ("dropped.mp3", b"words, not audio")
    assert ["422" in line for line in page.console()] == [True]


def test_faults_are_sentences_and_a_request_can_be_cancelled(page, service, tmp_path, breath):
    send, problem = page.find("#diagnose-form [type=submit]"), "#diagnose-form .problem"
    send.click()
    assert "Choose, drop or record a recording first." in page.text(problem)
    (tmp_path / "large.wav").write_bytes(bytes(5_000_000))
    page.find("#file").send_keys(str(tmp_path / "large.wav"))
    page.until_text(problem, "the service takes at most 4 MB")
    (tmp_path / "words.wav").write_text("not audio")
    page.find("#file").send_keys(str(tmp_path / "words.wav"))
    send.click()
    page.until_text(problem, "words.wav is not audio that can be read. (Request r-3.)")
    assert page.find(problem).get_attribute("role") == "alert"
    assert ["422" in line for line in page.console()] == [True]

    page.find("#file").send_keys(str(breath))
    service.gate.clear()
    send.click()
    page.until_text("#diagnose-form .actions + .status", "Diagnosing breath.wav")
    page.picture("waiting")
    turns = "return getComputedStyle(document.querySelector('.busy .status:not(:empty)'), '::before').animationName"
    assert page.js(turns) == "turn"
    page.media(motion="reduce")
    assert page.js(turns) == "none"
    page.find("#diagnose-form .cancel").click()
    page.until_text("#diagnose-form .actions + .status", "Cancelled.")
    service.gate.set()
    send.click()
    page.until_text("#diagnosis", "asthma")


def test_clips_are_marked_synthetic_and_stand_beside_a_recording(page, service, tmp_path):
    page.open("synthesize")
    page.js("document.querySelector('#label').value = 'asthma'; document.querySelector('#style').value = 'phone <b>'")
    page.js("document.querySelector('#count').value = 2")
    page.find("#seed").send_keys("7")
    page.find("#synthesize-form [type=submit]").click()
    page.until_text("#clips", "2 clips of asthma")
    wanted = {"label": "asthma", "style": "phone <b>", "count": "2", "seed": "7", "format": "flac"}
    assert service.asked[-1] == ("/v1/synthesize", wanted)
    shown = page.text("#clips")
    assert shown.count("Synthetic: made by a model") == 2
    assert shown.count("Simulated recording") == 2
    assert "Coarse crackle: 0.2–0.7 s" in shown
    link = page.find("#clips a[download]")
    assert link.get_attribute("download") == "synthetic-asthma-phone-b--7-0.flac"
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    link.click()
    saved = tmp_path / link.get_attribute("download")
    page.until(saved.exists)
    assert sf.info(saved).duration == 3
    page.js("return document.querySelector('#clips audio').play()")
    page.until(lambda: page.js("return document.querySelector('#clips audio').currentTime") > 0.2)
    page.check("synthesis")


def test_a_style_reference_is_sent_and_what_is_not_shared_is_said(page, service, breath):
    page.open("synthesize")
    page.js("document.querySelector('#label').value = 'pneumonia'")
    page.js("const s = document.querySelector('#style'); s.value = ''; s.dispatchEvent(new Event('change'))")
    page.find("#synthesize-form [type=submit]").click()
    page.until_text("#synthesize-form .problem", "Choose a recording whose style is taken")
    page.find("#reference").send_keys(str(breath))
    page.find("#count").clear()
    page.find("#count").send_keys("9")
    page.find("#synthesize-form [type=submit]").click()
    page.until_text("#synthesize-form .problem", "Count: ")
    page.find("#count").clear()
    page.find("#count").send_keys("1")
    page.find("#synthesize-form [type=submit]").click()
    page.until_text("#clips", "Recordings of pneumonia are not shared. (Request r-404.)")
    assert service.asked[-1][1]["style_reference"] == ("breath.wav", breath.read_bytes())
    assert "style" not in service.asked[-1][1]
    assert ["404" in line for line in page.console()] == [True]


def test_runs_and_the_model_are_shown(page):
    page.open("runs")
    page.until_text("#run-list", RUN["run"])
    assert "0.410 before, 0.520 after; 95 % interval of the score after: 0.460 to 0.580." in page.text("#run-list")
    assert page.find("#run-list a").get_attribute("href").endswith(f"/v1/runs/{RUN['run']}/report")
    page.find("#run-list summary").click()
    loaded = "return [...document.querySelectorAll('#run-list img')].filter((i) => i.naturalWidth).map((i) => i.alt)"
    page.until(lambda: len(page.js(loaded)) == 2)
    assert page.js(loaded) == [f"Figure of run {RUN['run']}: {name}" for name in ("rounds", "label by style")]
    page.check("runs")
    page.find("nav a[href='#about']").click()
    page.until_text("#about", "Research on respiratory sounds.")
    assert "For research only. Not a medical device." in page.text("header")
    assert page.js("return document.activeElement.textContent") == "About the model"
    page.check("about")


def test_a_token_is_asked_for_once_and_again_where_it_is_wrong(page, service):
    service.token = "right"
    page.driver.get("about:blank")
    page.driver.get(page.address)
    page.until(lambda: page.find("#token-dialog").is_displayed())
    page.picture("token")
    page.find("#token").send_keys("wrong" + Keys.ENTER)
    page.until_text("#token-problem", "That token was not accepted.")
    page.find("#token").send_keys("right" + Keys.ENTER)
    page.until(lambda: page.js("return document.querySelectorAll('#label option').length"))
    assert page.js("return [{...sessionStorage}, {...localStorage}, document.cookie]") == [
        {"resp-agent-token": "right"},
        {},
        "",
    ]
    assert all("401" in line for line in page.console())
    page.open("runs")
    page.until_text("#run-list button", "Download the report")
    page.js("sessionStorage.clear()")


def test_everything_can_be_done_from_the_keyboard(page, service, breath):
    def press(*keys):
        ActionChains(page.driver).send_keys(*keys).perform()

    look = """
    const at = document.activeElement;
    return [at.tagName, at.matches(arguments[0]), getComputedStyle(at).outlineStyle];
    """

    def tab_to(selector):
        for _ in range(40):
            press(Keys.TAB)
            name, here, ring = page.js(look, selector)
            assert ring != "none" or name == "BODY", f"{name} shows no focus"
            if here:
                return
        raise AssertionError(f"{selector} cannot be reached with the tab key")

    tab_to("nav a[href='#diagnose']")
    tab_to("#file")
    page.find("#file").send_keys(str(breath))  # the system's own dialog is not the page's
    tab_to("#record")
    tab_to("#diagnose summary")
    press(Keys.ENTER)
    tab_to("#age")
    press("63")
    tab_to("#diagnose-form [type=submit]")
    press(Keys.ENTER)
    page.until(lambda: page.js("return document.activeElement.id") == "diagnosis-title")
    tab_to("#diagnosis audio")
    press(Keys.SPACE)
    page.until(lambda: page.js("return document.querySelector('#diagnosis audio').currentTime") > 0)
    assert service.asked[-1][1]["age_years"] == "63"


def test_spectrograms_have_the_numbers_of_numpy_and_librosa(page):
    time = np.arange(16000) / 16000
    waveform = np.sin(2 * np.pi * (200 + 1500 * time) * time) + 0.1 * np.cos(2 * np.pi * 3000 * time)
    waveform = waveform.astype(np.float32)
    code = """
    const [wave, done] = arguments;
    import("/static/spectrum.js").then(({ melDb, fft, colourOf }) => {
      const [re, im] = [Float64Array.from(wave.slice(0, 1024)), new Float64Array(1024)];
      fft(re, im);
      const { bands, frames, values } = melDb(Float32Array.from(wave));
      const colours = Array.from({ length: 71 }, (_, i) => colourOf(i - 70));
      const silent = melDb(new Float32Array(1600)).values;
      done({ re: [...re], im: [...im], bands, frames, values: [...values], colours, silent: [...silent] });
    });
    """
    got = page.driver.execute_async_script(code, waveform.tolist())
    expected = np.fft.fft(waveform[:1024].astype(np.float64))
    np.testing.assert_allclose(np.array(got["re"]) + 1j * np.array(got["im"]), expected, atol=1e-9)

    padded = np.pad(waveform.astype(np.float64), 320)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 640)[::160][:100] * np.hanning(641)[:-1]
    filters = librosa.filters.mel(sr=16000, n_fft=2048, n_mels=96, fmin=40, fmax=4500, dtype=np.float64)
    mel = filters @ (np.abs(np.fft.rfft(frames, 2048, axis=1)) ** 2).T
    db = np.maximum(10 * np.log10(mel / mel.max()), -70)
    np.testing.assert_allclose(np.reshape(got["values"], (got["bands"], got["frames"])), db, atol=1e-3)
    np.testing.assert_array_equal(got["silent"], -70)
    np.testing.assert_allclose(got["colours"], colormaps["magma"](np.linspace(0, 1, 71))[:, :3] * 255, atol=3.5)


def test_relevance_is_a_mean_over_a_quarter_of_a_second_of_which_the_strongest_stretches_are_named(page):
    values = np.random.default_rng(5).random(100)
    values[30:40] += 3
    code = """
    const [values, done] = arguments;
    import("/static/relevance.js").then(({ smooth, strongest, strongestText }) => {
      const smoothed = smooth({ start_s: 1, step_s: 0.04, values });
      const flat = { start_s: 0, step_s: 0.1, values: [0, 0, 0] };
      done([smoothed.values, strongest(smoothed), strongestText(smooth(flat))]);
    });
    """
    smoothed, stretches, of_nothing = page.driver.execute_async_script(code, values.tolist())
    means = np.convolve(values, np.ones(7), "same") / np.convolve(np.ones(100), np.ones(7), "same")
    np.testing.assert_allclose(smoothed, means / means.max())
    above = np.flatnonzero(means / means.max() >= 0.6)
    assert stretches == [
        {"start": pytest.approx(1 + 0.04 * above[0]), "end": pytest.approx(1 + 0.04 * (above[-1] + 1)), "peak": 1}
    ]
    assert of_nothing == "no moment more than another"
