#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""What the jobs of host.py printed: is it right?

    judge.py --jobs JOBS.json --results FOLDER --pvm PVM --probe ring0-probe.elf [NAME...]

Without names, all. A job with "guest" (its file), "kind" and "cpus" is a conformance guest, compared with
`pvm run`, line by line, as ../ring0/matrix.py does for minivisor. Any other one prints lines and a plan as
guests do, with "checks" of them; without "checks" it is right with status 0. "cases" names a set of cases.py,
"hostile" a guest of tests/hostile/: it ends well with at least "checks", or the VM dies of "dies".
"""
import argparse
import json
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "ring0"), str(TESTS / "hostile")]
import cases			# noqa: E402
import compare			# noqa: E402
import machine as machines	# noqa: E402
import probe			# noqa: E402
import ring0 as hostile		# noqa: E402


def machine(args, cpus):
    model = (args.results / "machine").read_text().split(",")
    return machines.Machine(cpus=cpus, la57="la57=on" in model, pku="pku=on" in model)


def judge_guest(args, job, run):
    probe.use(args.probe, job["kind"])
    here = machine(args, job["cpus"])
    verdict = compare.judge_alone(job["kind"], here, run, 1)
    reference = machines.run_standalone(args.pvm, job["guest"], job["cpus"])
    compare.judge_against(job["kind"], here, run, reference, verdict)
    for note in verdict.notes:
        print(f"  excused: {job['name']}: {note}")
    return verdict.problems, f"{verdict.checks} checks"


def until_plan(text):
    """Without what pvm says after a guest's end."""
    lines = text.splitlines()
    ends = [i for i, line in enumerate(lines) if compare.PLAN.match(line)]
    return "\n".join(lines[:ends[-1] + 1] if ends else lines) + "\n"


def judge_hostile(args, job, run):
    if "dies" in job:
        problems = [] if run.status == 126 else [f"status {run.status} instead of 126"]
        if not re.search(f"triple fault.*{job['dies']}", run.console):
            problems.append(f"no line says: triple fault ... {job['dies']}")
        return problems, "dies"
    compare.REASONS += hostile.REASONS
    probe.use(args.probe, job["hostile"])
    run.console = until_plan(run.console)
    verdict = compare.judge_alone(job["hostile"], machine(args, 1), run, job["checks"])
    for note in verdict.notes:
        print(f"  excused: {job['name']}: {note}")
    return verdict.problems, f"{verdict.checks} checks"


def judge_program(job, run):
    problems = [] if run.status == 0 else [f"status {run.status}"]
    if "cases" in job:
        wrong, count = cases.judge(job["cases"], run.console)
        return wrong, f"{count} cases"
    if "checks" not in job:
        return problems, f"status {run.status}"
    lines = run.console.strip().splitlines()
    wrong, count = compare.plan_problems(lines)
    problems += wrong
    # What this host's kernel has no means for: "# excused N: why".
    excused = [re.match(r"# excused (\d+): (.*)", line) for line in lines]
    for match in filter(None, excused):
        print(f"  excused: {job['name']}: {match[2]}")
    if count + sum(int(match[1]) for match in filter(None, excused)) != job["checks"]:
        problems.append(f"{count} checks, not {job['checks']}")
    problems += [line for line in lines if line.startswith("not ok")]
    return problems, f"{count} checks"


def judge(args, job):
    """Prints the verdict. True: all is well."""
    name = job["name"]
    file = args.results / f"{name}.json"
    if not file.exists():
        print(f"{name}: did not run to its end: see {args.results / 'console'}")
        return False
    result = json.loads(file.read_text())
    run = machines.Run(result["status"], result["output"], "")
    if "guest" in job:
        problems, what = judge_guest(args, job, run)
    elif "hostile" in job:
        problems, what = judge_hostile(args, job, run)
    else:
        problems, what = judge_program(job, run)
    print(f"{name}: {what}{', FAILED' if problems else ''}")
    for problem in problems:
        print(f"    {problem}")
    if problems:
        print(result["output"][-4000:])
    return not problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", required=True, type=pathlib.Path)
    parser.add_argument("--results", required=True, type=pathlib.Path)
    parser.add_argument("--pvm", required=True)
    parser.add_argument("--probe", required=True)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    jobs = json.loads(args.jobs.read_text()) + [{"name": "host"}]
    unknown = set(args.names) - {job["name"] for job in jobs}
    if unknown:
        sys.exit(f"judge.py: no such job: {', '.join(sorted(unknown))}")
    right = [judge(args, job) for job in jobs if not args.names or job["name"] in args.names]
    return not all(right)


if __name__ == "__main__":
    sys.exit(main())
