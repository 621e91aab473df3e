#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# Is the man page true and well formed?
#	man_page.sh options PVM MAN-PAGE COMPLETION
#	man_page.sh lint MAN-PAGE	(status 77: no man(1) here)
set -u

# The options that a help text lists: words that begin its indented lines.
options_of() {
	"$@" --help | grep -E '^ +-' | grep -oE '(^| )--?[A-Za-z][a-z-]*' | tr -d ' ' | sort -u
}

check_options() {
	local pvm=$1 page=$2 completion=$3 option option_text status=0 plain
	plain=$(sed 's/\\-/-/g; s/\\f[BIR]//g' "$page")
	for option in $(options_of "$pvm" run; options_of "$pvm" save; options_of "$pvm" restore; options_of "$pvm" info
		options_of "$pvm"); do
		grep -qE -- "(^|[^-a-z])$option([^-a-z]|\$)" <<<"$plain" || {
			echo "$page does not have $option"
			status=1
		}
		grep -qE -- "(^|[^-a-zA-Z])$option([^-a-zA-Z]|\$)" "$completion" || {
			echo "$completion does not have $option"
			status=1
		}
	done
	for option in $("$pvm" run --help | sed -n 's/.*is written for, one of: //p'); do
		grep -qw -- "$option" <<<"$plain" || {
			echo "$page does not have the guest ABI $option"
			status=1
		}
		[ "$(grep -cw -- "$option" "$completion")" -ge 2 ] || {
			echo "$completion does not have the guest ABI $option after --abi and --abi="
			status=1
		}
	done
	# And nothing is described that is not there.
	for option_text in $(grep -oE -- '--[a-z][a-z-]*' <<<"$plain" | sort -u); do
		{ options_of "$pvm" run; options_of "$pvm" save; options_of "$pvm"; } | grep -qx -- "$option_text" || {
			echo "$page has $option_text, which pvm does not"
			status=1
		}
	done
	[ "$(options_of "$pvm" run | wc -l)" -ge 15 ] || {
		echo "pvm run --help lists too few options: is its layout another?"
		status=1
	}
	return $status
}

lint() {
	local warnings
	command -v man >/dev/null && command -v groff >/dev/null || {
		echo "skipped: no man(1) or groff here"
		exit 77
	}
	warnings=$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l "$1" 2>&1 >/dev/null)
	[ -z "$warnings" ] || {
		echo "$warnings"
		return 1
	}
	LC_ALL=C.UTF-8 MANWIDTH=80 man -l "$1" | grep -q 'EXIT STATUS'
}

case $1 in
options) check_options "$2" "$3" "$4" ;;
lint) lint "$2" ;;
esac
