"""The bill of materials, and what is said where the database of known faults cannot be asked."""

import contextlib
import io
import json
import shutil
import socket
import sys
from pathlib import Path

import pytest

from tests.tools.test_lock import ROOT, locked
from tools import audit


@pytest.fixture(scope="module")
def unreached(tmp_path_factory):
    """The folder, exit status and output of an audit that reaches no database."""
    if not Path(sys.executable).with_name("pip-audit").exists():
        pytest.skip("pip-audit is absent: run make setup-dev")
    root = tmp_path_factory.mktemp("root")
    shutil.copy(ROOT / audit.LOCKED, root)
    with socket.socket() as nobody, pytest.MonkeyPatch.context() as patch:
        nobody.bind(("127.0.0.1", 0))  # bound, but nobody listens
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            patch.setenv(name, f"http://127.0.0.1:{nobody.getsockname()[1]}")
        with contextlib.redirect_stdout(io.StringIO()) as out:
            return root, audit.main([], root), out.getvalue()


def test_the_bill_of_materials_lists_every_locked_version_with_hashes(unreached):
    root, _, _ = unreached
    bom = json.loads((root / audit.BOM).read_text())
    assert bom["bomFormat"] == "CycloneDX"
    listed = {one["name"]: one for one in bom["components"]}
    assert {name: one["version"] for name, one in listed.items()} == locked(audit.LOCKED)
    assert all(one["externalReferences"][0]["hashes"] for one in listed.values())


def test_a_database_that_cannot_be_reached_is_no_clean_bill(unreached):
    _, status, out = unreached
    assert status == 2
    assert "NOT CHECKED" in out
