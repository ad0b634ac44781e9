"""Runs of a folder, to be looked at: their scores, figures and reports."""

import json
from pathlib import Path

from resp_agent.curriculum.journal import SUMMARY

REPORT, FIGURES = "report.html", "figures"
_TOLD = ("policy", "generator", "seed", "clips", "test_macro_f1_before", "test_macro_f1_after", "test_macro_f1_ci95")


class RunFolder:
    """The runs below a folder, by name; no other path leads anywhere."""

    def __init__(self, folder: str | None):
        self._folder = Path(folder) if folder else None

    def all(self) -> list[dict]:
        """Complete runs as `schema.Run`, the latest first."""
        found = [path for path in self._names().values() if (path / SUMMARY).is_file()]
        found.sort(key=lambda path: (path / SUMMARY).stat().st_mtime, reverse=True)
        return [row for path in found if (row := self._row(path))]

    def report(self, run: str) -> Path | None:
        """The report of a run, if it has one."""
        path = self._names().get(run)
        return path / REPORT if path and (path / REPORT).is_file() else None

    def figure(self, run: str, name: str) -> Path | None:
        """A figure of a run by its name without `.png`, if there is one."""
        path = self._names().get(run)
        return self._figures(path).get(name) if path else None

    def _names(self) -> dict[str, Path]:
        folder = self._folder
        return {path.name: path for path in folder.iterdir() if path.is_dir()} if folder and folder.is_dir() else {}

    def _figures(self, run: Path) -> dict[str, Path]:
        return {path.stem: path for path in sorted((run / FIGURES).glob("*.png")) if path.is_file()}

    def _row(self, run: Path) -> dict | None:
        try:
            summary = json.loads((run / SUMMARY).read_text())
            told = {name: summary.get(name) for name in _TOLD}
        except (OSError, ValueError, AttributeError):
            return None
        return {"run": run.name, **told, "figures": list(self._figures(run)), "report": (run / REPORT).is_file()}
