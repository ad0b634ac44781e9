"""What importing the research core brings along."""

import subprocess
import sys


def test_the_core_loads_neither_ray_nor_deepspeed_nor_gymnasium():
    code = "import resp_agent, sys; assert not {'ray', 'deepspeed', 'gymnasium'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_core_as_a_whole_loads_neither_ray_nor_gymnasium():
    code = (
        "import sys, resp_agent.curriculum.local, resp_agent.curriculum.judge, resp_agent.report; "
        "assert not {'ray', 'gymnasium'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
