from pyarrow import fs

from jobs.ray_storage import notes_in
from resp_agent.durable import write_atomic
from resp_agent.storage import local


def test_ray_keeps_its_notes_in_a_folder_or_on_the_store_itself(s3, tmp_path):
    assert notes_in(tmp_path / "run") == {"storage_path": str(tmp_path / "run")}
    write_atomic(local(s3) / "run" / "settings.yaml", b"seed: 1")
    notes = notes_in(local(s3) / "run")
    held = notes["storage_filesystem"].get_file_info(fs.FileSelector(notes["storage_path"]))
    assert [one.base_name for one in held] == ["settings.yaml"]
