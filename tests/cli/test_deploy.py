"""`rim-ledger deploy` prints files that the tools which read them find right."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from api.cli.deploy_commands import FILES, Target, deploy
from api.config.settings import Settings, variables
from rim_ledger.version import VERSION

HOME = "/var/lib/rim-ledger"


@pytest.fixture
def printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Path]:
    """The file of each target, named as its tool wants it."""
    for target, name in FILES.items():
        deploy(target)
        (tmp_path / name).write_text(capsys.readouterr().out)
    return {target: tmp_path / name for target, name in FILES.items()}


def test_each_target_has_a_file_and_names_settings_that_there_are(
    printed: dict[str, Path],
) -> None:
    assert get_args(Target) == tuple(FILES)
    known = {name for field in Settings.model_fields for name in variables(field)}
    for file in printed.values():
        text = file.read_text()
        assert "@version@" not in text
        assert set(re.findall(r"\b(?:RIM|DATABASE)_[A-Z_]+", text)) <= known
        assert not re.search(r"\b(SECRET_KEY|PASSWORD|URL)\b[:=,]", text), "a secret is in a file"


@pytest.mark.parametrize("target", ["container", "compose", "kubernetes"])
def test_an_image_is_of_this_version(printed: dict[str, Path], target: str) -> None:
    assert re.search(rf"rim.ledger[:-]{re.escape(VERSION)}\b", printed[target].read_text())


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="it needs systemd-analyze")
def test_systemd_finds_the_unit_right_and_hardened(printed: dict[str, Path]) -> None:
    unit = printed["systemd"]
    # It is to be found where this program is, instead of where an operator installs it.
    program = Path(sys.executable).with_name("rim-ledger")
    unit.write_text(unit.read_text().replace("/opt/rim-ledger/bin/rim-ledger", str(program)))
    right = _run("systemd-analyze", "verify", "--man=no", str(unit))
    assert (right.returncode, right.stderr) == (0, "")
    # Of ten; 1.5 of these are the network and the sockets that it serves on.
    limit = ("security", "--offline=true", "--no-pager", "--threshold=20", str(unit))
    judged = _run("systemd-analyze", *limit)
    assert judged.returncode == 0, judged.stdout


def test_the_container_of_compose_is_closed(printed: dict[str, Path]) -> None:
    file = yaml.safe_load(printed["compose"].read_text())
    ledger = file["services"]["ledger"]
    assert ledger["read_only"] is True
    assert ledger["cap_drop"] == ["ALL"]
    assert ledger["security_opt"] == ["no-new-privileges:true"]
    assert ledger["user"] == "10001:10001"
    assert ledger["build"]["dockerfile"] == printed["container"].name
    assert ledger["volumes"] == [f"home:{HOME}"]
    assert {f"/run/secrets/{name}" for name in ledger["secrets"]} == _files(ledger["environment"])
    assert set(ledger["secrets"]) == set(file["secrets"])


def test_the_pod_of_kubernetes_is_closed_and_probed(printed: dict[str, Path]) -> None:
    service, stateful = yaml.safe_load_all(printed["kubernetes"].read_text())
    pod = stateful["spec"]["template"]["spec"]
    (ledger,) = pod["containers"]
    assert service["spec"]["selector"] == stateful["spec"]["selector"]["matchLabels"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert ledger["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    probes = [ledger[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness")]
    assert probes == ["/healthz", "/healthz"]
    assert ledger["readinessProbe"]["httpGet"]["path"] == "/readyz"
    mounts = {each["name"]: each["mountPath"] for each in ledger["volumeMounts"]}
    volumes = [*pod["volumes"], *(e["metadata"] for e in stateful["spec"]["volumeClaimTemplates"])]
    assert set(mounts) == {each["name"] for each in volumes}
    environment = {each["name"]: each["value"] for each in ledger["env"]}
    assert all(each.startswith(mounts["secrets"] + "/") for each in _files(environment))


def test_all_of_them_run_as_the_user_that_the_container_makes(printed: dict[str, Path]) -> None:
    assert "USER 10001:10001" in printed["container"].read_text().splitlines()
    assert "runAsUser: 10001" in printed["kubernetes"].read_text()


@pytest.mark.heavy
def test_compose_and_kubernetes_know_every_word(printed: dict[str, Path]) -> None:
    compose = pytest.importorskip("compose_spec", reason="needs the group `heavy`")
    compose.PyCompose.from_yaml(printed["compose"].read_text()).validate()
    kubernetes = pytest.importorskip("kubernetes_validate", reason="needs the group `heavy`")
    for each in yaml.safe_load_all(printed["kubernetes"].read_text()):
        kubernetes.validate(each, kubernetes.latest_version(), strict=True)


@pytest.mark.heavy
def test_hadolint_has_nothing_to_say_of_the_container(printed: dict[str, Path]) -> None:
    program = Path(sys.executable).with_name("hadolint")
    if not program.exists():
        pytest.skip("needs the group `heavy`")
    answer = _run(str(program), str(printed["container"]))
    assert (answer.returncode, answer.stdout) == (0, "")


def _files(environment: dict[str, Any]) -> set[str]:
    return {value for name, value in environment.items() if name.endswith("_FILE")}


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
