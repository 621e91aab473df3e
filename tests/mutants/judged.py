# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Mutants that no test can tell from the original, each with the reason.

A line of the survivors' report, "path: before => after", and why it is equivalent, or
why nothing that may be relied on changes. An entry whose line is no longer in the tree is
reported, to be removed.
"""
JUDGED = {
}
