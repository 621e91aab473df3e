# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# Bash completion for pvm(1).
_pvm()
{
	local cur prev options
	_init_completion -n = 2>/dev/null || {
		cur=${COMP_WORDS[COMP_CWORD]}
		prev=${COMP_WORDS[COMP_CWORD - 1]}
	}
	if [[ $COMP_CWORD -eq 1 ]]; then
		mapfile -t COMPREPLY < <(compgen -W "run save restore info --help --version -h -V" -- "$cur")
		return
	fi
	case $prev in
	-b | --backend)
		mapfile -t COMPREPLY < <(compgen -W "kvm native model" -- "$cur")
		return
		;;
	--mitigations)
		mapfile -t COMPREPLY < <(compgen -W "default strict" -- "$cur")
		return
		;;
	--abi)
		mapfile -t COMPREPLY < <(compgen -W "dual-cr3 single-cr3" -- "$cur")
		return
		;;
	-t | --trace | -k | --kernel | -i | --initrd | -d | --disk | --symbols)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	-n | --net)
		mapfile -t COMPREPLY < <(compgen -W "user tap=" -- "$cur")
		return
		;;
	-m | --memory | -s | --smp | -a | --append | -T | --timeout | --shadow-memory)
		return
		;;
	esac
	case $cur in
	--backend=*)
		mapfile -t COMPREPLY < <(compgen -P --backend= -W "kvm native model" -- "${cur#*=}")
		return
		;;
	--mitigations=*)
		mapfile -t COMPREPLY < <(compgen -P --mitigations= -W "default strict" -- "${cur#*=}")
		return
		;;
	--abi=*)
		mapfile -t COMPREPLY < <(compgen -P --abi= -W "dual-cr3 single-cr3" -- "${cur#*=}")
		return
		;;
	--kernel=*)
		mapfile -t COMPREPLY < <(compgen -P --kernel= -f -- "${cur#*=}")
		return
		;;
	--initrd=*)
		mapfile -t COMPREPLY < <(compgen -P --initrd= -f -- "${cur#*=}")
		return
		;;
	--disk=*)
		mapfile -t COMPREPLY < <(compgen -P --disk= -f -- "${cur#*=}")
		return
		;;
	--symbols=*)
		mapfile -t COMPREPLY < <(compgen -P --symbols= -f -- "${cur#*=}")
		return
		;;
	--net=*)
		mapfile -t COMPREPLY < <(compgen -P --net= -W "user tap=" -- "${cur#*=}")
		return
		;;
	--trace=*)
		mapfile -t COMPREPLY < <(compgen -P --trace= -f -- "${cur#*=}")
		return
		;;
	esac
	options="--help -h"
	if [[ ${COMP_WORDS[1]} == run ]]; then
		options="--backend= --kernel= --initrd= --disk= --net= --memory= --smp= --append= --console --abi= --trace= --stats --timeout= --shadow-memory= --mitigations= --symbols= --help"
		options+=" -b -k -i -d -n -m -s -a -c -t -S -T -h"
	fi
	if [[ ${COMP_WORDS[1]} == restore ]]; then
		options="--disk= --net= --console --trace= --stats --timeout= --mitigations= --symbols= --help -d -n -c -t -S -T -h"
	fi
	if [[ ${COMP_WORDS[1]} == save ]]; then
		options="--continue --exec= --help -c -h"
		if [[ $cur != -* && $prev =~ ^(save|-c|--continue|--exec=.*)$ ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$(pidof pvm)" -- "$cur")
			return
		fi
	fi
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
		[[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
	elif [[ ${COMP_WORDS[1]} == save || ${COMP_WORDS[1]} == restore ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -f -X '!*.elf' -- "$cur"; compgen -d -- "$cur")
	fi
}
complete -o filenames -F _pvm pvm
