#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""compare.py must find each way in which a run can be wrong, and no other."""
import unittest

import compare
from machine import Machine, Run

GOOD = """hello
ok 1 - one
ok 2 - two
skip 3 - three
# 3 checks, 0 failed, 1 skipped
"""
QEMU, BOCHS = Machine(pku=True), Machine(pku=True, emulator="bochs")


def problems(console, guest="some", machine=QEMU, reference=GOOD, status=0, why="", least=3, keys=True):
    run = Run(status, console, "", why)
    verdict = compare.judge_alone(guest, machine, run, least)
    compare.judge_against(guest, machine, run, Run(0, reference, "", keys=keys), verdict)
    return verdict.problems


class Compare(unittest.TestCase):
    def test_the_same_is_right(self):
        self.assertEqual(problems(GOOD), [])

    def test_each_other_line_is_wrong(self):
        for old, new in (("hello\n", ""), ("hello\n", "hallo\n"), ("two", "2"), ("skip 3", "ok 3"),
                         ("ok 2 - two\n", "ok 2 - two\nmore\n"), ("ok 2 - two\n", "")):
            self.assertNotEqual(problems(GOOD.replace(old, new)), [], (old, new))

    def test_another_order_is_wrong(self):
        self.assertNotEqual(problems(GOOD.replace("one", "x").replace("two", "one").replace("x", "two")), [])

    def test_a_failed_check_is_wrong(self):
        self.assertNotEqual(problems(GOOD.replace("ok 2", "not ok 2").replace("0 failed", "1 failed")), [])

    def test_the_plan_line_counts(self):
        for old, new in (("# 3", "# 4"), ("0 failed", "1 failed"), ("1 skipped", "0 skipped"),
                         ("# 3 checks, 0 failed, 1 skipped\n", ""), ("ok 2", "ok 7")):
            self.assertNotEqual(problems(GOOD.replace(old, new)), [], (old, new))

    def test_too_few_checks_are_wrong(self):
        self.assertNotEqual(problems(GOOD, least=4), [])

    def test_the_end_must_be_the_guests(self):
        self.assertNotEqual(problems(GOOD, status=1), [])
        self.assertNotEqual(problems(GOOD, status=None, why="the VM died"), [])

    def test_what_qemu_can_is_not_excused(self):
        good = "ok 1 - user mode: #AC\n# 1 checks, 0 failed, 0 skipped\n"
        bad = "not ok 1 - user mode: #AC (got 0x1, expected 0x2)\n# 1 checks, 1 failed, 0 skipped\n"
        compare.DEVIATES.clear()
        self.assertNotEqual(problems(bad, status=1, guest="events", reference=good, least=1), [])

    def test_what_qemu_cannot_is_excused_there_only(self):
        compare.DEVIATES.add("ac")
        good = "ok 1 - user mode: #AC\n# 1 checks, 0 failed, 0 skipped\n"
        bad = "not ok 1 - user mode: #AC (got 0x1, expected 0x2)\n# 1 checks, 1 failed, 0 skipped\n"
        arguments = {"guest": "events", "reference": good, "least": 1}
        self.assertEqual(problems(bad, status=1, **arguments), [])
        self.assertNotEqual(problems(bad, status=1, machine=BOCHS, **arguments), [])
        self.assertNotEqual(problems(bad, status=2, **arguments), [])
        self.assertNotEqual(problems(bad, status=1, guest="some", reference=good, least=1), [])
        self.assertNotEqual(problems(good, status=1, **arguments), [])

    def test_a_pvm_run_that_fails_itself_is_no_reference(self):
        reference = GOOD.replace("ok 2", "not ok 2").replace("0 failed", "1 failed")
        self.assertIn("pvm run itself: not ok 2 - two", problems(GOOD, reference=reference))
        self.assertIn("pvm run itself: not ok 2 - two", problems(reference, reference=reference, status=1))
        reference = "hello\nok 1 - one\nexception in supervisor mode: vector 13\n"
        self.assertIn("pvm run itself ended early", problems(GOOD, reference=reference))

    def test_a_difference_in_keys_is_excused_only_where_there_is_one(self):
        there, here = GOOD.replace("two", "PKRS, this"), GOOD.replace("two", "PKRS, that")
        for pku, keys in ((False, False), (False, True), (True, False), (True, True)):
            found = [line for line in problems(here, guest="msr", machine=Machine(pku=pku),
                                               reference=there, keys=keys) if line.startswith("only")]
            self.assertEqual(len(found), 2 if pku == keys else 0, (pku, keys))

    def test_a_guest_finds_the_keys_of_its_own_machine(self):
        without = """ok 1 - CR4.PKE cannot be set
ok 2 - CR4.PKS cannot be set
skip 3 - PKRU, user reads: the CPU has no protection keys, or the host has them off
# 3 checks, 0 failed, 1 skipped
"""
        arguments = {"guest": "pkru", "reference": without, "keys": False}
        self.assertEqual(problems(without, machine=Machine(pku=False), **arguments), [])
        self.assertNotEqual(problems(without, machine=Machine(pku=True), **arguments), [])
        fewer = without.replace("ok 2 - CR4.PKS cannot be set", "skip 2 - CR4.PKS").replace("1 sk", "2 sk")
        self.assertNotEqual(problems(fewer, machine=Machine(pku=False), **arguments), [])


if __name__ == "__main__":
    unittest.main()
