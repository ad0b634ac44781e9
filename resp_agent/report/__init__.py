"""Figures and the self-contained HTML page of a run."""

from resp_agent.report.page import render_report
from resp_agent.report.record import RunRecord

__all__ = ["RunRecord", "render_report"]
