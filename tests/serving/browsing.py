"""A headless Chromium that drives the page, and what every page must keep."""

import base64
import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE_S = 60

_NAMELESS = """
const seen = (e) => e.checkVisibility() && !e.closest("[hidden]");
const text = (e) => (e.getAttribute("aria-label") ?? e.textContent).trim();
const found = [];
for (const e of document.querySelectorAll("input, select, textarea"))
  if (!e.labels.length || !text(e.labels[0])) found.push(e);
for (const e of document.querySelectorAll("button, a, summary")) if (!text(e)) found.push(e);
for (const e of document.querySelectorAll("img")) if (!e.hasAttribute("alt")) found.push(e);
for (const e of document.querySelectorAll("canvas, audio, dialog, nav"))
  if (!e.getAttribute("aria-label") && !e.getAttribute("aria-labelledby")) found.push(e);
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
const twice = ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `id ${id} twice`);
const tops = [...document.querySelectorAll("h1")].filter(seen).length;
return [...found.map((e) => e.outerHTML), ...twice, ...(tops === 1 ? [] : [`${tops} h1`])];
"""

# Contrast after WCAG 2.2: text over the backgrounds of what it lies in, composited; large text needs 3 to 1.
_FAINT = """
const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const over = (colours) => {
  context.fillStyle = "#fff"; context.fillRect(0, 0, 1, 1);
  for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
  return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const luminance = (rgb) => rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const faint = [];
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || !e.checkVisibility() || e.disabled || e.closest("option, .unseen, noscript")) continue;
  const grounds = [];
  const { left, right, top, bottom } = e.getBoundingClientRect();
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  for (let at = e; at; at = at.parentElement) {
    const box = at.getBoundingClientRect();
    if (box.left <= x && x <= box.right && box.top <= y && y <= box.bottom)
      grounds.unshift(getComputedStyle(at).backgroundColor);
  }
  const style = getComputedStyle(e);
  const [a, b] = [luminance(over(grounds)), luminance(over([...grounds, style.color]))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const least = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
  if (ratio < least) faint.push(`${ratio.toFixed(2)}: ${e.outerHTML.slice(0, 200)}`);
}
return faint;
"""

_WIDE = """
return [...document.querySelectorAll("body *")]
  .filter((e) => e.checkVisibility() && !e.closest(".unseen, datalist"))
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
  .map((e) => e.outerHTML.slice(0, 200));
"""

_FAULTS = {"without a name": _NAMELESS, "too faint": _FAINT, "too wide": _WIDE}


def open_browser() -> webdriver.Chrome:
    """Chromium of the system, with a microphone that hears a beep."""
    driver, browser = shutil.which("chromedriver"), shutil.which("chromium")
    if not driver or not browser:
        pytest.skip("no browser: install the packages chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "lang=en", "window-size=1280,1000"):
        options.add_argument(f"--{flag}")
    for flag in ("use-fake-ui-for-media-stream", "use-fake-device-for-media-stream", "mute-audio"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(driver))


class Page:
    """The page in a browser, found by what a user sees."""

    def __init__(self, driver: webdriver.Chrome, address: str, pictures: Path):
        self.driver = driver
        self.address = address
        self.pictures = pictures

    def open(self, part: str = "diagnose") -> None:
        """Loads it afresh and waits for the labels."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.address}#{part}")
        self.until(lambda: self.js("return document.querySelectorAll('#label option').length"))

    def js(self, code: str, *given):
        return self.driver.execute_script(code, *given)

    def find(self, selector: str):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return self.find(selector).text

    def until(self, true) -> None:
        """Waits for it to be true."""
        WebDriverWait(self.driver, PATIENCE_S).until(lambda _: true())

    def until_text(self, selector: str, part: str) -> None:
        self.until(lambda: part in self.text(selector))

    def media(self, width: int = 1280, scheme: str = "light", motion: str = "no-preference") -> None:
        """A window so wide (a phone's below 640) in a light or a dark scheme."""
        size = {"width": width, "height": 844, "deviceScaleFactor": 2 if width < 640 else 1, "mobile": width < 640}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        asked = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        features = [{"name": name, "value": value} for name, value in asked.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def picture(self, name: str) -> None:
        """Keeps a picture of the whole page."""
        self.js("scrollTo(0, 0)")
        self.js("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        (self.pictures / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))

    def console(self) -> list[str]:
        """What the browser complained of since last asked; also what the content security policy forbade."""
        return [line["message"] for line in self.driver.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]

    def check(self, name: str) -> None:
        """In light and dark, on a desk and a phone: named, legible, within the width; a picture of each."""
        for width in (1280, 390):
            for scheme in ("light", "dark"):
                self.media(width, scheme)
                self.picture(f"{name}-{width}-{scheme}")
                faults = {what: self.js(code) for what, code in _FAULTS.items()}
                assert not any(faults.values()), faults
                assert self.js("return document.documentElement.scrollWidth <= innerWidth")
        self.media()
