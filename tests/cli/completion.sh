#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# Does bash complete pvm's command line? completion.sh COMPLETION
set -u
cd "$(mktemp -d)" || exit 1
trap 'rm -rf "$PWD"' EXIT
touch guest.elf notes.txt
# shellcheck source=/dev/null
source "$1"
compopt() { :; }
status=0

# expect WORD... : WANTED  the last WORD is being typed
expect() {
	local words=() wanted
	while [ "$1" != : ]; do
		words+=("$1")
		shift
	done
	wanted=$2
	COMP_WORDS=("${words[@]}")
	COMP_CWORD=$((${#words[@]} - 1))
	COMPREPLY=()
	_pvm
	[ "${COMPREPLY[*]}" = "$wanted" ] || {
		echo "'${words[*]}' completes to '${COMPREPLY[*]}' instead of '$wanted'"
		status=1
	}
}

expect pvm ru : run
expect pvm re : restore
expect pvm sa : save
expect pvm --v : --version
expect pvm run --ba : --backend=
expect pvm run --backend=m : --backend=model
expect pvm run -b n : native
expect pvm run --backend=k : --backend=kvm
expect pvm run --ab : --abi=
expect pvm run --abi=s : --abi=single-cr3
expect pvm run --abi d : dual-cr3
expect pvm run --st : --stats
expect pvm run g : guest.elf
expect pvm run n : ""
expect pvm run --memory 6 : ""
expect pvm save --c : --continue
expect pvm save --e : --exec=
expect pvm save 4711 n : notes.txt
expect pvm restore --disk=n : --disk=notes.txt
expect pvm restore --st : --stats
expect pvm restore n : notes.txt
expect pvm info --h : --help
expect pvm info g : guest.elf
exit $status
