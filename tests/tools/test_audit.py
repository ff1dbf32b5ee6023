"""The bill of materials, and what is said where the database of known faults cannot be asked."""

import json
import shutil
import socket
import sys
from pathlib import Path

import pytest

from tests.tools.test_lock import ROOT, locked
from tools import audit


@pytest.fixture
def root(tmp_path):
    if not Path(sys.executable).with_name("pip-audit").exists():
        pytest.skip("pip-audit is absent: run make setup-dev")
    shutil.copy(ROOT / audit.LOCKED, tmp_path)
    return tmp_path


def test_the_bill_of_materials_lists_every_locked_version_with_hashes(root):
    bom = json.loads(audit.write_bom(root).read_text())
    assert bom["bomFormat"] == "CycloneDX"
    listed = {one["name"]: one for one in bom["components"]}
    assert {name: one["version"] for name, one in listed.items()} == locked(audit.LOCKED)
    assert all(one["externalReferences"][0]["hashes"] for one in listed.values())


def test_a_database_that_cannot_be_reached_is_no_clean_bill(root, monkeypatch, capsys):
    with socket.socket() as nobody:  # bound, but nobody listens
        nobody.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        assert audit.main([], root) == 2
    assert "NOT CHECKED" in capsys.readouterr().out
