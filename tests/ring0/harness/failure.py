# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""What the whole harness raises when the machine under test did wrong."""


class Failure(Exception):
    """The text says what was wrong."""
