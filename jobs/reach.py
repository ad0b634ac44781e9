"""Whether a Ray cluster can be reached, without ever starting one."""

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from actors.endpoint import CONNECT_TIMEOUT_S, OWN, endpoint, refusal

ASK_TIMEOUT_S = 15.0


def authentication() -> str:
    """What this client would show a cluster: the mode, and whether there is a token. Never the token."""
    mode = os.environ.get("RAY_AUTH_MODE") or "the default of this Ray"
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if os.environ.get("RAY_AUTH_TOKEN"):
        token = "a token in RAY_AUTH_TOKEN"
    else:
        token = f"a token in {path}" if path.is_file() else "no token"
    return f"authentication: {mode}, {token}"


def reach(address: str) -> tuple[str, str | None]:
    """(what was found, what is missing or None) for a value of RAY_ADDRESS. Takes at most 18 seconds.

    Understands "" and "local" (a run starts its own), "auto", "host:port", "ray://host:port" and "http(s)://host:port".
    """
    if address in OWN:
        said = "is not set" if not address else "is local"
        return f"RAY_ADDRESS {said}: a run starts a local Ray by itself", None
    wanted = f"the Ray cluster at RAY_ADDRESS={address}"
    if address == "auto":
        reason = _ask_status(address)
    else:
        try:
            host, port = endpoint(address)
        except ValueError as error:
            return f"RAY_ADDRESS={address}", f"{wanted} ({error}): set host:port, ray://host:port, auto, or unset it"
        reason = refusal(host, port)
        if reason is None and address.startswith(("http://", "https://")):
            reason = _ask_dashboard(address)
        elif reason is None and "://" not in address:
            reason = _ask_status(address)
    if reason is None:
        return f"RAY_ADDRESS={address}: reached", None
    return (
        f"RAY_ADDRESS={address}: not reached",
        f"{wanted} ({reason}): start it, correct the address, or unset RAY_ADDRESS for a local Ray",
    )


def _ask_dashboard(address: str) -> str | None:
    try:
        with urllib.request.urlopen(f"{address.rstrip('/')}/api/version", timeout=CONNECT_TIMEOUT_S):
            return None
    except urllib.error.HTTPError as error:
        # A refusal without a token is an answer of the dashboard all the same, with a way out of its own.
        return f"its dashboard answers {error.code} {error.reason}; see authentication above"
    except (OSError, ValueError) as error:
        return f"no answer: {error}"


def resources(address: str) -> dict[str, tuple[float, float]] | None:
    """Kind (`CPU`, `GPU`) -> (in use, in all) of the cluster at a value of RAY_ADDRESS; None where it cannot be asked,
    as through `ray://` or a dashboard. Starts nothing."""
    if address in OWN or "://" in address:
        return None
    done = _status(address)
    if done is None or done.returncode != 0:
        return None
    found = re.findall(r"^\s*([\d.]+)/([\d.]+) (CPU|GPU)\b", done.stdout, re.MULTILINE)
    return {"GPU": (0.0, 0.0)} | {kind: (float(used), float(total)) for used, total, kind in found}


def _status(address: str) -> subprocess.CompletedProcess | None:
    """What `ray status`, which asks the cluster's head and starts nothing, says; None if it does not answer in time."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "status", "--address", address]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return None


def _ask_status(address: str) -> str | None:
    """What `ray status` found wrong; None if the cluster answered."""
    done = _status(address)
    if done is None:
        return f"it did not answer within {ASK_TIMEOUT_S:.0f} s"
    if done.returncode == 0:
        return None
    said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return said[-1].split(". ")[0].rstrip(".") if said else f"`ray status` ended with {done.returncode}"
