# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""An initial file system for a Linux kernel in an emulated machine."""
import subprocess


def pack(root, init, archive):
    """The folder @root, with the script or program @init as its /init, becomes the file @archive, which is returned."""
    (root / "init").write_bytes(init.encode() if isinstance(init, str) else init)
    (root / "init").chmod(0o755)
    names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
    packed = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=names.encode(),
                            stdout=subprocess.PIPE, check=True).stdout
    archive.write_bytes(packed)
    return archive
