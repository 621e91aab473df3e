#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""What is in kvm-pvm-dkms, without installing it.

Makes the package twice, in a folder of its own. Owns what can be seen from outside: names, owners, rights,
sums, that the sources are all that ./build would compile, that the scripts are scripts, and that it is the
same file again.
"""
import gzip
import hashlib
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("include", "libpvm", "decode", "backends/kvm")	# what the module is made of
DOC = "usr/share/doc/kvm-pvm-dkms"
SCRIPTS = ("postinst", "prerm")
FIELDS = {"Package": "kvm-pvm-dkms", "Architecture": "all", "Section": "kernel", "Recommends": "linux-headers-amd64"}
problems = []


def check(right, text):
    if not right:
        problems.append(text)


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **options).stdout.decode()


def make(folder, mask):
    """Returns the package, made under another umask: it must not matter."""
    before = os.umask(mask)
    try:
        return pathlib.Path(run(ROOT / "packaging/dkms/deb", folder).strip())
    finally:
        os.umask(before)


def fields_of(package):
    return dict(line.split(": ", 1) for line in run("dpkg-deb", "-f", package).splitlines()
                if re.match(r"[A-Z][\w-]*: ", line))


def check_listing(package):
    """Owners and rights as the archive has them; the extracted files are those of who extracts."""
    for line in run("dpkg-deb", "-c", package, env={**os.environ, "TZ": "UTC"}).splitlines():
        rights, owner, _, _, _, name = line.split(maxsplit=5)
        check(owner == "root/root", f"{name} is {owner}'s")
        script = name.endswith("/backends/kvm/check")
        wanted = "drwxr-xr-x" if name.endswith("/") else "-rwxr-xr-x" if script else "-rw-r--r--"
        check(rights == wanted, f"{name} has {rights}, not {wanted}")
        check(re.match(rf"\./$|\./usr/$|\./usr/(src|share)/$|\./usr/share/doc/$|\./{DOC}/|\./usr/src/kvm-pvm-", name),
              f"{name} is no place for it")


def check_sums(tree, control):
    sums = dict(reversed(line.split("  ", 1)) for line in (control / "md5sums").read_text().splitlines())
    files = {path.relative_to(tree).as_posix(): path for path in tree.rglob("*") if path.is_file()}
    check(set(sums) == set(files), f"md5sums names other files: {sorted(set(sums) ^ set(files))}")
    for name, path in files.items():
        check(sums.get(name) == hashlib.md5(path.read_bytes()).hexdigest(), f"md5sums: {name} has another sum")


def check_sources(source):
    """All of the tree's sources, and nothing else."""
    wanted = {path.relative_to(ROOT).as_posix(): path for folder in FOLDERS for path in (ROOT / folder).rglob("*")
              if path.suffix in {".c", ".h", ".S"} or path.name in {"Kbuild", "check"}}
    wanted["Kbuild"] = ROOT / "backends/kvm/Kbuild"
    found = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
    check(set(found) - set(wanted) == {"dkms.conf", "VERSION"}, f"not sources: {sorted(set(found) - set(wanted))}")
    check(not set(wanted) - set(found), f"left out: {sorted(set(wanted) - set(found))}")
    for name in set(wanted) & set(found):
        check(wanted[name].read_bytes() == found[name].read_bytes(), f"{name} is not the tree's")
    # Each header in quotes or of ours is there; offsets.h is made by Kbuild.
    for name, path in found.items():
        for header in re.findall(r'^\s*#\s*include ["<]((?!linux/|asm/|kvm/|trace/)[^">]+)[">]', path.read_text(), re.M):
            places = (source / "include", source / "libpvm", source / "decode", path.parent)
            check(header == "offsets.h" or any((place / header).exists() for place in places)
                  or header.startswith("std") or header == "string.h", f"{name} includes {header}, which is left out")


def check_dkms(source, version):
    names = "PACKAGE_NAME PACKAGE_VERSION BUILT_MODULE_NAME DEST_MODULE_LOCATION AUTOINSTALL MAKE BUILD_EXCLUSIVE_KERNEL"
    shell = "kernel_source_dir=/K dkms_tree=/D; . ./dkms.conf; for n in $0; do printf '%s\\n' \"${!n}\"; done"
    values = dict(zip(names.split(), run("bash", "-euc", shell, names, cwd=source).splitlines()))
    check(values["PACKAGE_NAME"] == values["BUILT_MODULE_NAME"] == "kvm-pvm", f"dkms.conf: {values}")
    check(values["PACKAGE_VERSION"] == version, f"dkms.conf: {values}")
    check(values["MAKE"] == f"make -C /K M=/D/kvm-pvm/{version}/build modules", f"dkms.conf: {values}")
    check(values["DEST_MODULE_LOCATION"].startswith("/updates") and values["AUTOINSTALL"] == "yes", f"dkms.conf: {values}")
    known = re.search(r'^KNOWN="(.*)"$', (source / "backends/kvm/check").read_text(), re.M).group(1).split()
    known.remove("7.3")		# whose module has another name: by hand, docs/kvm-backend.md
    for kernel in ("5.10", "6.1", "6.2", "6.6", "6.11", "6.12", "6.13", "6.18", "6.19", "7.3"):
        taken = bool(re.search(values["BUILD_EXCLUSIVE_KERNEL"], f"{kernel}.0-56-amd64"))
        check(taken == (kernel in known), f"{kernel}: dkms.conf and backends/kvm/check do not agree")


def check_documents(tree, version):
    doc = tree / DOC
    copyright_text = (doc / "copyright").read_text()
    for words in ("BSD-2-Clause", "/usr/share/common-licenses/GPL-2", "Redistributions of source code", "Copyright (c)"):
        check(words in copyright_text, f"copyright does not say {words!r}")
    changelog = gzip.decompress((doc / "changelog.gz").read_bytes()).decode()
    check(re.match(rf"kvm-pvm-dkms \({re.escape(version)}\) \w+; urgency=\w+\n\n  \* .*\n\n -- .* <.*>  \w{{3}}, ", changelog),
          f"changelog.gz: {changelog}")
    for path in doc.rglob("*.gz"):
        check(path.read_bytes()[4:8] == b"\0\0\0\0", f"{path.name} has a time in it")
    example = (doc / "examples/kvm-pvm.conf").read_text()
    active = [line for line in example.splitlines() if line and not line.startswith("#")]
    check(active == ["blacklist kvm_intel", "blacklist kvm_amd"], f"the example sets {active}")
    check("#options kvm-pvm accept_meltdown=1" in example, "the example has no accept_meltdown")
    check(not (tree / "etc").exists() and not (tree / "lib").exists(), "something of it is active by itself")


def check_scripts(control, version):
    for name in SCRIPTS:
        path = control / name
        text = path.read_text()
        check(text.startswith("#!/bin/sh\n") and "\nset -e\n" in text, f"{name} is no careful shell script")
        check(stat.S_IMODE(path.stat().st_mode) == 0o755, f"{name} has other rights than 755")
        check("@" not in text and version in text, f"{name} is not filled in")
        run("sh", "-n", path)


def main():
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        package = make(scratch / "one", 0o022)
        again = make(scratch / "two", 0o077)
        fields = fields_of(package)
        version = fields.get("Version", "")
        check(package.name == f"kvm-pvm-dkms_{version}_all.deb", f"is called {package.name}")
        check(package.read_bytes() == again.read_bytes(), "made again it is another file")
        check(list(package.parent.iterdir()) == [package], "something else was left in the folder")
        for name, value in FIELDS.items():
            check(fields.get(name) == value, f"{name}: {fields.get(name)}")
        for name in ("dkms", "make", "gcc"):
            check(re.search(rf"\b{name}\b", fields.get("Depends", "")), f"Depends has no {name}")
        check_listing(package)
        tree, control = scratch / "tree", scratch / "control"
        run("dpkg-deb", "-x", package, tree)
        run("dpkg-deb", "-e", package, control)
        check_sums(tree, control)
        source = tree / f"usr/src/kvm-pvm-{version}"
        check_sources(source)
        check_dkms(source, version)
        check_documents(tree, version)
        check_scripts(control, version)
    for problem in problems:
        print(problem, file=sys.stderr)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
