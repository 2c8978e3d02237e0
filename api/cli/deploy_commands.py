"""`rim-ledger deploy`: files by which other tools run and watch the service."""

from importlib.resources import files
from typing import Final, Literal

from rim_ledger.version import VERSION

Target = Literal["systemd", "container", "compose", "kubernetes", "prometheus", "grafana"]

FILES: Final[dict[Target, str]] = {
    "systemd": "rim-ledger.service",
    "container": "Containerfile",
    "compose": "compose.yaml",
    "kubernetes": "kubernetes.yaml",
    "prometheus": "alert-rules.yaml",
    "grafana": "dashboard.json",
}


def deploy(target: Target, /) -> None:
    """Print a file that runs or watches this version: a unit, a container's build, a compose file,
    manifests, alert rules, a dashboard.

    :param target: The tool that reads it.
    """
    text = (files("api.cli") / "deploy" / FILES[target]).read_text()
    print(text.replace("@version@", VERSION), end="")
