#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""cost.py has a row for every operation that guests do all the time, and adds the right stretches up."""
import unittest

from cost import ROWS, legs_between
from machine import Step

# What docs/performance.md has a target for. A row that is lost takes its target with it.
OPERATIONS = ("syscall", "hypercall", "load_pgtbl", "exception", "fill", "page_fault", "invlpg",
              "load_pgtbl_new", "interrupt")
START, END = 0x1000, 0x2000


def steps(*rips):
    """Negative: at CPL 0."""
    return [Step(abs(rip), rip > 0) for rip in rips]


class Rows(unittest.TestCase):
    def test_every_operation_has_a_row_with_a_target(self):
        targets = {row.name: row.target for row in ROWS}
        for name in OPERATIONS:
            self.assertTrue(targets.get(f"switcher.{name}"), name)

    def test_a_stretch_is_all_legs_from_its_start_to_its_end(self):
        legs = legs_between(steps(1, -7, START, -8, -9, 2, -10, 3, START, -11, END, -12, 4), START, END)
        self.assertEqual([[step.rip for step in leg.steps] for leg in legs], [[8, 9], [10], [11]])

    def test_a_stretch_that_does_not_end_is_none(self):
        self.assertEqual(legs_between(steps(START, -8, 2), START, END), [])

    def test_a_stretch_that_does_not_begin_is_none(self):
        self.assertEqual(legs_between(steps(1, -8, 2, END), START, END), [])


if __name__ == "__main__":
    unittest.main()
