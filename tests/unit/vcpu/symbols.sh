#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# The engine is freestanding: its archive needs memcpy, memmove, memset and
# memcmp and no other symbol, keeps no global data that can change, and its
# shared library shows pvm_* and nothing else.
#
# usage: symbols.sh NM ARCHIVE SHARED-LIBRARY
set -eu
nm=$1 archive=$2 library=$3
failed=0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$nm" --defined-only --format=posix "$archive" | awk 'NF > 1 { print $1 }' | sort -u > "$work/defined"
"$nm" --undefined-only --format=posix "$archive" | awk 'NF > 1 { print $1 }' | sort -u > "$work/undefined"
if [ ! -s "$work/defined" ]; then
	echo "$archive defines nothing" >&2
	exit 1
fi

# _GLOBAL_OFFSET_TABLE_ is the linker's own.
printf '%s\n' memcmp memcpy memmove memset _GLOBAL_OFFSET_TABLE_ | sort > "$work/allowed"
needed=$(comm -23 "$work/undefined" "$work/defined" | comm -23 - "$work/allowed")
if [ -n "$needed" ]; then
	echo "$archive needs what no host has to give:" $needed >&2
	failed=1
fi

# b, d: data that can be written; relocated constants (.data.rel.ro) are not,
# but nm shows them as d too, so those are distinguished by section.
changing=$("$nm" --defined-only --format=sysv "$archive" |
	awk -F'|' '$7 ~ /^ *\.(bss|data)/ && $7 !~ /\.data\.rel\.ro/ { print $1 }')
if [ -n "$changing" ]; then
	echo "$archive has global data that can change:" $changing >&2
	failed=1
fi

"$nm" --dynamic --defined-only --format=posix "$library" | awk '{ print $1 }' > "$work/exported"
if ! grep -q '^pvm_handle_syscall$' "$work/exported"; then
	echo "$library does not export pvm_handle_syscall" >&2
	failed=1
fi
if grep -v '^pvm_' "$work/exported" > "$work/foreign"; then
	echo "$library exports what is not the API:" $(cat "$work/foreign") >&2
	failed=1
fi
exit $failed
