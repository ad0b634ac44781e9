"""How every figure looks: colours that colour-blind readers tell apart, one font, no chart junk.

Figures are drawn with matplotlib's object-oriented API on the Agg canvas, in a light and a dark theme; the page shows
the one that the reader's system asks for. The heat maps' colours run at constant hue steps and even lightness steps in
OKLCH (Ottosson 2020), so equal differences look equal, on both themes from the paper's colour to its opposite.
"""

import io
import textwrap
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from PIL import Image

PIXELS_PER_INCH = 100
"""CSS pixels that an inch of a figure takes on the page."""
DENSITY = 2
"""Image pixels for each CSS pixel."""

EVENT_COLOURS = {
    "fine crackle": "#e69f00",
    "coarse crackle": "#d55e00",
    "wheeze": "#3a9bdc",
    "wheeze + crackle": "#cc79a7",
    "rhonchus": "#009e73",
    "stridor": "#c9b400",
    "cough": "#7a6ff0",
    "rub": "#8a8f98",
}
"""Event kind -> colour (after Okabe and Ito 2008), legible on light and dark paper."""


@dataclass(frozen=True)
class Theme:
    """Colours of one theme; `page.css` has the same."""

    name: str
    paper: str
    ink: str
    muted: str
    faint: str
    accent: str
    """Blue: the series that matters, gains."""
    warm: str
    """Vermilion: losses."""


LIGHT = Theme("light", "#ffffff", "#1c2530", "#5a6675", "#e4e8ed", "#0b62a4", "#c24e0b")
DARK = Theme("dark", "#171c23", "#e7eaee", "#9ba6b4", "#2f3741", "#62aee8", "#f0894a")

_PARAMETERS = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "axes.unicode_minus": True,
    "hatch.linewidth": 0.6,
}


def styled(theme: Theme):
    """A context in which figures take the theme."""
    colours = {
        "figure.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "savefig.facecolor": theme.paper,
        "text.color": theme.ink,
        "axes.titlecolor": theme.ink,
        "axes.labelcolor": theme.muted,
        "axes.edgecolor": theme.faint,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "grid.color": theme.faint,
        "hatch.color": theme.faint,
    }
    return rc_context({**_PARAMETERS, **colours})


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure on an Agg canvas, without pyplot."""
    figure = Figure(figsize=(width_in, height_in))
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Figure, crop: bool = True) -> bytes:
    """The figure as PNG of 256 colours at twice the page's pixels; the same figure gives the same bytes."""
    drawn, packed = io.BytesIO(), io.BytesIO()
    options = {"bbox_inches": "tight", "pad_inches": 0.06} if crop else {}
    fast = {"compress_level": 1}
    figure.savefig(drawn, format="png", dpi=PIXELS_PER_INCH * DENSITY, pil_kwargs=fast, **options)
    few = Image.open(drawn).convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(packed, "PNG", optimize=True)
    return packed.getvalue()


def png_size(png: bytes) -> tuple[int, int]:
    """(width, height) of a PNG on the page, in CSS pixels."""
    width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))
    return round(width / DENSITY), round(height / DENSITY)


def short(name: str, width: int = 20, lines: int = 2) -> str:
    """A name wrapped to fit an axis, with an ellipsis where it still is too long. Tables show names whole."""
    return "\n".join(textwrap.wrap(name, width, max_lines=lines, placeholder=" …")) or " "


def set_tick_names(ax: Axes, axis: str, names: list[str], **text) -> None:
    """Puts names at 0, 1, 2, ... of the `x` or `y` axis, taken literally (a dollar sign starts no formula)."""
    which = ax.xaxis if axis == "x" else ax.yaxis
    which.set_ticks(np.arange(len(names)), names, parse_math=False, **text)


def two_digits(value: float) -> str:
    """A score of 0 to 1 in two digits, as cells show it: .07, .43, 1.0."""
    text = f"{value:.2f}"
    return "1.0" if text == "1.00" else text.removeprefix("0")


@lru_cache(maxsize=4)
def sequential(theme: Theme) -> ListedColormap:
    """The heat maps' colours: small values near the paper, large ones far from it."""
    steps = np.linspace(0, 1, 256)
    if theme.name == "light":
        lightness, chroma, hue = 0.975 - 0.645 * steps, 0.012 + 0.115 * np.sin(np.pi / 2 * steps), 215 + 45 * steps
    else:
        lightness, chroma, hue = 0.27 + 0.62 * steps, 0.025 + 0.085 * np.sin(np.pi / 2 * steps), 260 - 45 * steps
    colours = oklch_to_srgb(lightness, chroma, np.deg2rad(hue))
    return ListedColormap(np.clip(colours, 0, 1), name=f"sequential-{theme.name}")


@lru_cache(maxsize=4)
def diverging(theme: Theme) -> ListedColormap:
    """Colours of values below and above zero: vermilion below, blue above, the paper's colour in the middle."""
    steps = np.linspace(-1, 1, 65)
    away = np.abs(steps)
    lightness = 0.975 - 0.43 * away if theme.name == "light" else 0.27 + 0.5 * away
    colours = oklch_to_srgb(lightness, 0.005 + 0.145 * away, np.deg2rad(np.where(steps < 0, 45.0, 248.0)))
    return ListedColormap(np.clip(colours, 0, 1), name=f"diverging-{theme.name}")


def oklch_to_srgb(lightness: np.ndarray, chroma: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """(..., 3) sRGB, not clipped, of OKLCH with the hue in radians (Ottosson, "A perceptual color space", 2020)."""
    a, b = chroma * np.cos(hue), chroma * np.sin(hue)
    lms = np.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ],
        axis=-1,
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = lms**3 @ to_linear.T
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def luminance(colour) -> float:
    """Relative luminance of an sRGB colour, 0 to 1 (WCAG 2.2)."""
    rgb = np.asarray(colour)[:3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def text_over(colour) -> str:
    """Black or white, whichever contrasts more with a cell of this colour: at least 4.5 to 1 (WCAG 2.2)."""
    return "#000000" if luminance(colour) > 0.179 else "#ffffff"
