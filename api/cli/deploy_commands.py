"""`rim-ledger deploy`: files that systemd, Docker or Kubernetes run the service with."""

from importlib.resources import files
from typing import Final, Literal

from rim_ledger.version import VERSION

FILES: Final = {
    "systemd": "rim-ledger.service",
    "container": "Containerfile",
    "compose": "compose.yaml",
    "kubernetes": "kubernetes.yaml",
}


def deploy(target: Literal["systemd", "container", "compose", "kubernetes"], /) -> None:
    """Print a file that runs this version: a unit, a container's build, a compose file, manifests.

    :param target: What runs it.
    """
    text = (files("api.cli") / "deploy" / FILES[target]).read_text()
    print(text.replace("@version@", VERSION), end="")
