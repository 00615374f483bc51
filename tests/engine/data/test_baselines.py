"""Linear models are fitted on one thread whatever the machine offers."""

import json
import os
import subprocess
import sys

import pytest

from web import child_process

LIST_THREADS = """
import json, numpy, scipy.linalg, sklearn.linear_model
from threadpoolctl import threadpool_info
print(json.dumps([one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]))
"""
THREADS_OF_A_CHILD = f"""
from web import child_process
import sys
done = child_process.run([sys.executable, "-c", {LIST_THREADS!r}], seconds=60)
print(done.stdout.strip())
"""
STARTS = {
    "a process of Django": f"import config.settings\n{LIST_THREADS}",
    "its child": f"import config.settings\n{THREADS_OF_A_CHILD}",
    "the engine": f"from engine import __main__ as cli\ncli._set_thread_env(4)\n{LIST_THREADS}",
}


@pytest.mark.slow
@pytest.mark.parametrize("start", STARTS)
def test_threads_do_not_wait_for_one_another_in_small_products(start):
    environment = child_process.clean_environment(
        {"DATABASE_URL": "postgresql://nobody@localhost/x"}
    )
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", STARTS[start]], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    threads = json.loads(done.stdout.splitlines()[-1])
    assert threads
    assert set(threads) == {1} or os.cpu_count() == 1
