import subprocess
import sys
from pathlib import Path

import pytest

from gleaner_client import document, job_name
from gleaner_client.inputs import document_names


def test_files_of_one_name_keep_their_paths() -> None:
    assert document_names(["a/x.pdf", "b/x.pdf", "c/y.pdf"]) == ["a/x.pdf", "b/x.pdf", "y.pdf"]


def test_a_document_is_a_file_or_bytes_with_a_name(tmp_path: Path) -> None:
    (tmp_path / "x.pdf").write_bytes(b"%PDF")
    assert document(tmp_path / "x.pdf") == document(b"%PDF", name="x.pdf")
    with pytest.raises(ValueError, match="name"):
        document(b"%PDF")


def test_a_job_is_named_by_its_uuid_too() -> None:
    assert job_name("1-2") == job_name("jobs/1-2") == "jobs/1-2"


def test_help_starts_without_what_only_work_needs() -> None:
    heavy = {"grpc", "PIL", "numpy", "pypdfium2", "google.protobuf", "yaml"}
    code = f"import sys, gleaner_client.cli; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"
