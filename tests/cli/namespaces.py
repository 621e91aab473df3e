# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Namespaces of a test's own, wherever this host lets this user have some."""
import subprocess


def unshare(*options):
    """The command before a program's that gives it namespaces, by unshare(1)'s @options. None: the host denies them.

    First as everybody may have them, in a user namespace; where these are denied, as in a changed root folder, as
    root may.
    """
    for user in (("-Ur",), ()):
        command = ["unshare", *user, *options]
        if subprocess.run([*command, "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0:
            return command
    return None
