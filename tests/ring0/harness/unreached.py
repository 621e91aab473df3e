# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""What of the switcher's text everywhere.py does not reach, and why.

{ label: { event, or "any": why } }. The test fails for an instruction that is
neither reached nor under a label in here, and for a label that is wholly reached.
"""

UNREACHED = {
}
