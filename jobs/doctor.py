"""`resp-agent doctor`: what is installed, what this machine has, and what is missing, with the way out."""

import argparse
import importlib.util
import os
import platform
import re
import shutil
import sys
import tempfile
import tomllib
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from jobs.exits import run_job
from jobs.reach import authentication, reach
from resp_agent.weights import FOLDERS, here

DISTRIBUTION = "resp-agent-ray"
PACKAGES = ("resp_agent", "envs", "actors", "jobs")
ROOT = Path(__file__).resolve().parents[1]
LEAST_DISK_GIB = 2.0
"""A tiny run leaves some 0.2 GiB; Ray stops starting actors on a full disk."""
LEAST_MEMORY_GIB = 3.0
WEIGHTS = {
    "openai/whisper-tiny.en": "hears, in preset small and the tables",
    "sentence-transformers/all-MiniLM-L6-v2": "reads, in preset small",
    "BEATs_iter3_plus_AS2M.pt": "hears, in preset paper",
    "allenai/longformer-base-4096": "reads, in preset paper",
}
"""Pretrained weights that presets name, and what for; no run of preset tiny needs any."""
INSTALL = "pip install -e ."


@dataclass
class Finding:
    """One part of the answer: lines to read, and what keeps runs from working."""

    title: str
    lines: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Each says what, and the way out."""


def main(argv: list[str] | None = None) -> int:
    """Prints the findings. Returns 0 if nothing that a run needs is missing, else 1."""
    parser = argparse.ArgumentParser(prog="resp-agent doctor", description=__doc__.split(": ", 1)[1].capitalize())
    parser.add_argument("--out", default="runs", help="directory that runs would be written to (default: runs)")
    out = Path(parser.parse_args(argv).out)
    findings = [versions(), own_packages(), weights(), machine(), disk(out), ray(os.environ.get("RAY_ADDRESS", ""))]
    for finding in findings:
        print(f"{finding.title}")
        for line in finding.lines:
            print(f"  {line}")
    missing = [sentence for finding in findings for sentence in finding.missing]
    print()
    for sentence in missing:
        print(f"missing: {sentence}")
    if not missing:
        print("nothing is missing")
    return 1 if missing else 0


def requirements() -> list[Requirement]:
    """What the distribution requires, extras included: of the checkout if this is one, else as installed."""
    project = ROOT / "pyproject.toml"
    if project.is_file():
        table = tomllib.loads(project.read_text())["project"]
        extras = table.get("optional-dependencies", {})
        listed = [Requirement(text) for text in table["dependencies"]]
        for extra, texts in extras.items():
            for text in texts:
                listed.append(Requirement(f"{text}{' and' if ';' in text else ' ;'} extra == '{extra}'"))
        return listed
    try:
        return [Requirement(text) for text in metadata.requires(DISTRIBUTION) or []]
    except metadata.PackageNotFoundError:
        return []


def versions() -> Finding:
    """Python and every required package, against what is required; extras in a line each."""
    finding = Finding("versions", [f"{'python':<18} {platform.python_version()}  ({sys.executable})"])
    wanted = requirements()
    if not wanted:
        finding.missing.append(f"the distribution {DISTRIBUTION} (its requirements are unknown): {INSTALL}")
    extras: dict[str, list[bool]] = {}
    for requirement in wanted:
        found = _installed(requirement.name)
        fits = found is not None and requirement.specifier.contains(found, prereleases=True)
        extra = _extra(requirement)
        if extra is not None:
            extras.setdefault(extra, []).append(fits)
        elif requirement.marker is None or requirement.marker.evaluate():
            finding.lines.append(f"{requirement.name:<18} {found or '-'}")
            if not fits:
                state = f"{found} is installed" if found else "not installed"
                finding.missing.append(f"{requirement.name} {requirement.specifier} ({state}): {INSTALL}")
    for extra, fit in extras.items():
        finding.lines.append(f"{f'extra {extra}':<18} {sum(fit)} of {len(fit)} installed")
    return finding


def own_packages() -> Finding:
    """Whether our import packages are ours, or unrelated distributions of the same names."""
    finding = Finding("packages of this project")
    for name in PACKAGES:
        where = _location(name)
        ours = where == ROOT / name
        finding.lines.append(f"{name:<18} {where or 'not found'}{'' if ours else '  (not ours)'}")
        if where is None:
            finding.missing.append(f"the package {name} (not found beside {ROOT / 'jobs'}): {INSTALL}")
        elif not ours:
            finding.missing.append(
                f"our package {name}, shadowed by an unrelated one in {where}: pip uninstall {name}, or run elsewhere"
            )
        elif (version := _installed(name)) is not None:
            finding.lines.append(
                f"warning: the unrelated distribution {name} {version} is installed and may shadow ours in other "
                f"directories: pip uninstall {name}"
            )
    return finding


def weights() -> Finding:
    """Where the pretrained weights of presets are."""
    finding = Finding(f"pretrained weights (folders of {FOLDERS}, packages)")
    for name, use in WEIGHTS.items():
        elsewhere = "not here: taken from the hub when needed" if "/" in name else "not here, and not on the hub"
        finding.lines.append(f"{name}: {here(name) or elsewhere}  ({use})")
    return finding


def machine() -> Finding:
    """Cores, memory and accelerators."""
    finding = Finding("machine", [f"{platform.platform()}, {platform.machine()}"])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    finding.lines.append(f"CPU cores: {cores} usable of {os.cpu_count()}")
    memory = memory_gib()
    finding.lines.append("memory: unknown" if memory is None else f"memory: {memory:.1f} GiB")
    if memory is not None and memory < LEAST_MEMORY_GIB:
        finding.missing.append(
            f"memory ({memory:.1f} GiB, a tiny run wants {LEAST_MEMORY_GIB:.0f}): run with --lab local, or elsewhere"
        )
    finding.lines += [f"accelerator: {line}" for line in accelerators()]
    return finding


def memory_gib() -> float | None:
    """Memory that this process may use, in GiB: of the machine, or of its container if that is less."""
    sizes = []
    if {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= set(getattr(os, "sysconf_names", ())):
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            sizes.append(int(Path(path).read_text()))
        except (OSError, ValueError):
            continue
    return min(sizes) / 2**30 if sizes else None


def accelerators() -> list[str]:
    """What torch can compute on beside the CPU, a line each."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return [f"unknown, torch cannot be imported ({error})"]
    found = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        found.append(f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        found.append("Apple MPS (not used)")
    return found or [f"none (torch {torch.__version__})"]


def disk(out: Path) -> Finding:
    """Free space where runs and Ray's temporary files go."""
    finding = Finding("disk")
    there = out.resolve()
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK):
        finding.missing.append(f"permission to write in {there}: give a writable directory with --out")
    places = {str(there): "runs", tempfile.gettempdir(): "temporary files"}
    for place, what in places.items():
        free_gib = shutil.disk_usage(place).free / 2**30
        finding.lines.append(f"{what}: {free_gib:.1f} GiB free in {place}")
        if free_gib < LEAST_DISK_GIB:
            finding.missing.append(
                f"disk space for {what} in {place} ({free_gib:.1f} GiB free, {LEAST_DISK_GIB:.0f} wanted): free some, "
                "or set --out or TMPDIR to another disk"
            )
    if os.path.isdir("/dev/shm"):
        finding.lines.append(f"shared memory: {shutil.disk_usage('/dev/shm').free / 2**30:.1f} GiB free in /dev/shm")
    return finding


def ray(address: str) -> Finding:
    """Whether the cluster that runs would use answers. Never starts one."""
    if _installed("ray") is None:
        return Finding("Ray", ["not installed"])
    said, missing = reach(address)
    return Finding("Ray", [said, authentication()], [] if missing is None else [missing])


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _extra(requirement: Requirement) -> str | None:
    """The extra that a requirement belongs to."""
    match = re.search(r"""extra == ["']([\w.-]+)["']""", str(requirement.marker or ""))
    return match[1] if match else None


def _location(name: str) -> Path | None:
    """The directory that `import name` would read."""
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or []) if spec else []
    if places:
        return Path(places[0]).resolve()
    return Path(spec.origin).resolve() if spec and spec.origin else None


if __name__ == "__main__":
    sys.exit(run_job(main, sys.argv[1:]))
