"""What a worker's process loads."""

import subprocess
import sys


def test_a_worker_loads_the_libraries_of_models_only_for_a_model() -> None:
    program = "import sys, gleaner_worker.main; print(*{'openai', 'pydantic_ai'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout.split() == []
