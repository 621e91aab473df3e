# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# What scripts/demo and scripts/test have in common: packages, quiet steps,
# configuring and building. Sourced by bash; changes nothing but build folders
# and, when a package is missing, the machine's packages.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs=$root/build/logs
jobs=$(nproc)

# Each is a Debian package, or alternatives: the first is installed if none is.
packages_build=(gcc libc6-dev make cmake libcriterion-dev libunwind-dev libcjson-dev
	libzydis-dev zlib1g-dev liblzma-dev libzstd-dev liblz4-dev libslirp-dev linux-libc-dev python3)
# What runs a distribution's kernel, in an emulated host with the module built for it.
packages_linux=(qemu-system-x86 busybox-static cpio xz-utils debian-archive-keyring gcc-12 kmod pahole
	"libelf1|libelf1t64")
packages_test=(clang "libclang-rt-14-dev|libclang-rt-dev|libclang-rt-19-dev" gcovr pkgconf man-db
	qemu-system-x86 busybox-static cpio xz-utils zstd lz4 debian-archive-keyring gcc-12 kmod pahole
	"libelf1|libelf1t64" bochs bochs-term bochsbios vgabios grub-pc-bin grub-common xorriso mtools spin debootstrap)

die() {
	echo "$*" >&2
	exit 1
}

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The packages of the arguments that are not there.
missing_packages() {
	local entry package
	for entry in "$@"; do
		for package in ${entry//|/ }; do
			is_installed "$package" && continue 2
		done
		echo "$entry"
	done
}

# Run a step: say its name, keep its output in a log, show the log if it fails.
step() {
	local name=$1 log status=0 start=$SECONDS
	shift
	mkdir -p "$logs"
	log=$logs/${name//[^a-zA-Z0-9]/-}.log
	printf '%-40s ' "$name"
	"$@" >"$log" 2>&1 </dev/null || status=$?
	if [ $status -ne 0 ]; then
		echo "FAILED"
		tail -n 200 "$log" >&2
		die "$name failed with status $status; all of its output: $log"
	fi
	echo "ok ($((SECONDS - start)) s)"
}

install_packages() {
	local as_root=() entry package chosen=()
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null || {
			echo "not root, and there is no sudo"
			return 1
		}
		as_root=(sudo)
	fi
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update || return
	for entry in "$@"; do
		for package in ${entry//|/ }; do
			if apt-cache show "$package" >/dev/null 2>&1; then
				chosen+=("$package")
				continue 2
			fi
		done
		echo "no package ${entry//|/ or }"
		return 1
	done
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends "${chosen[@]}"
}

# Make sure that the packages are there; silent if they are.
need_packages() {
	local missing
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -eq 0 ] && return
	command -v apt-get >/dev/null || die "missing, and this is not Debian: ${missing[*]}"
	echo "Installing: ${missing[*]}"
	step "packages" install_packages "${missing[@]}"
}

# configure FOLDER [cmake option...]: also a folder that was configured before, because
# what CMake looks for may have been installed after that.
configure() {
	local folder=$1 generator=()
	shift
	[ ! -e "$folder/CMakeCache.txt" ] && command -v ninja >/dev/null && generator=(-G Ninja)
	cmake -S "$root" -B "$folder" "${generator[@]}" "$@"
}

# build FOLDER [target...]
build() {
	local folder=$1
	shift
	cmake --build "$folder" -j "$jobs" ${1:+--target "$@"}
}
