import json
import os
import subprocess
import sys

from resp_agent.storage import remote
from resp_agent.training.distributed import free_port


def test_ranks_on_nodes_of_their_own_share_a_checkpoint_by_the_store(s3, tmp_path):
    port = str(free_port())
    command = [sys.executable, "-m", "tests.training.stored_ranks"]
    ranks = [
        subprocess.Popen(
            [*command, str(rank), "2", port, f"{s3}/model"],
            env=os.environ | {"RESP_AGENT_CACHE": str(tmp_path / f"node-{rank}")},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    first, second = (json.loads(rank.communicate(timeout=120)[0].splitlines()[-1]) for rank in ranks)
    assert first["more"] == first["resumed"] == second["more"] == second["resumed"]
    assert first["files"] == second["files"]
    assert sum("average-" in name for name in first["files"]) == 2
    # Rank 0 brought the parts together, and the other node had kept none.
    assert "progress.json" in first["own"]
    assert second["own"] == ["digests.json"]
    assert remote.objects(f"{s3}/model").keys() == {*first["files"], "digests.json"}
    assert not remote.objects(f"{s3}/model.partial")
