"""Places on object stores, as folders of this machine.

What lies at `s3://bucket/key` or `gs://bucket/key` is worked on in its mirror, a folder of this machine whose path
tells where it belongs. `fetch` makes a mirror what the store holds, `publish` the store what the mirror holds, and both
do nothing with any other path: whoever reads and writes files need not know where a user wants them. The store is the
truth. A mirror is a cache: it may be deleted when no job runs.
"""

from resp_agent.storage.mirror import children, fetch, forget, publish, read_tables, remove, stored
from resp_agent.storage.places import absolute, is_mirror, is_remote, local, scratch, shown

__all__ = [
    "absolute", "children", "fetch", "forget", "is_mirror", "is_remote", "local", "publish", "read_tables", "remove",
    "scratch", "shown", "stored",
]  # fmt: skip
