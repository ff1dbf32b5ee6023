import subprocess
import sys

import pytest

import rag_app


def test_every_public_name_is_there_and_no_other():
    assert all(callable(getattr(rag_app, name)) for name in rag_app.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = rag_app.nonsense


def test_the_package_itself_imports_nothing_heavy():
    code = "import sys, rag_app; sys.exit('llama_index' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0  # noqa: PLW1510
