"""Shells complete what `rim-ledger completion` tells them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from api.cli.main import completion

ASKED = {
    "bash": 'source "$1"; COMP_WORDS=(rim-ledger verify); COMP_CWORD=1; _rim_ledger;'
    ' printf "%s\\n" "${COMPREPLY[@]}"',
    "fish": 'source $argv[1]; complete --do-complete "rim-ledger verify"',
    "zsh": "fpath=(${1:h} $fpath); autoload -Uz compinit; compinit -u -D;"
    " autoload +X $_comps[rim-ledger]; print -r -- $functions[_rim-ledger]",
}
"""What a shell is asked, given the script's place: which commands begin with `verify`."""


@pytest.mark.parametrize("shell", ASKED)
def test_the_shell_finds_the_commands_that_begin_so(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"it needs {shell}")
    completion(shell)  # type: ignore[arg-type]
    script = tmp_path / "_rim-ledger"
    script.write_text(capsys.readouterr().out)
    plain = {"bash": ["--norc"], "fish": ["--no-config"], "zsh": ["-f"]}[shell]
    last = [str(script)] if shell == "fish" else [shell, str(script)]
    answer = subprocess.run(
        [shell, *plain, "-c", ASKED[shell], *last],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert {"verify", "verify-backup"} <= set(re.findall(r"[\w-]+", answer.stdout))
