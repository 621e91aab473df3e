# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# What pvm-bench prints and writes is right in shape; how fast anything is, is
# not asked here.
function(run expected out)
  execute_process(COMMAND ${BENCH} ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE error)
  if(NOT status EQUAL expected)
    message(FATAL_ERROR "pvm-bench ${ARGN}: status ${status}, not ${expected}\n${text}${error}")
  endif()
  set(${out} "${text}${error}" PARENT_SCOPE)
endfunction()

function(says text pattern)
  if(NOT text MATCHES "${pattern}")
    message(FATAL_ERROR "no \"${pattern}\" in:\n${text}")
  endif()
endfunction()

# Every row that the project promises, with its unit and target.
run(0 list --list)
foreach(row "event.user_round_trip +pagecopy +0.5 " "hypercall.rdmsr +pagecopy +0.2 "
        "mmu.fill_sequential +pagecopy +2.5 " "native.compute +ratio +1.02 " "native.syscall +ratio +1.5 "
        "native.fault +ratio +5 " "native.hello +s +0.1 " "native.memory +MiB +16 "
        "scale.parallel +ratio +0.6 " "uml.syscall +ratio +0.7 ")
  says("${list}" "${row}")
endforeach()

# One row, measured once, in the table and as JSON.
set(file ${DIR}/pvm-bench-test.json)
run(0 table --rounds=1 --json=${file} hypercall.rdmsr)
says("${table}" "hypercall.rdmsr +[0-9.]+ +0.2 +pagecopy +(yes|no)")
file(READ ${file} json)
string(JSON count LENGTH "${json}")
string(JSON name GET "${json}" 0 name)
string(JSON unit GET "${json}" 0 unit)
string(JSON target GET "${json}" 0 target)
string(SUBSTRING "${target}" 0 3 target)
string(JSON type TYPE "${json}" 0 value)
string(JSON met TYPE "${json}" 0 met)
if(NOT "${count} ${name} ${unit} ${target} ${type} ${met}" STREQUAL
   "1 hypercall.rdmsr pagecopy 0.2 NUMBER BOOLEAN")
  message(FATAL_ERROR "JSON of one row: ${json}")
endif()

# A row with several sizes of memory, as a plot with all points.
set(svg ${DIR}/pvm-bench-test.svg)
run(0 table --svg=${svg} scale.unmap_one)
file(READ ${svg} drawn)
string(REGEX MATCHALL "<circle [^>]*><title>[0-9]+[mg]: [0-9.e+]+ ns</title></circle>" circles "${drawn}")
list(LENGTH circles circles)
string(REGEX MATCHALL "unmap_one_[0-9]+[mg] +[0-9]" points "${table}")
list(LENGTH points points)
if(points EQUAL 0 OR NOT circles EQUAL points OR NOT drawn MATCHES ">scale.unmap_one</text>.*</svg>\n$")
  message(FATAL_ERROR "the plot of ${points} sizes: ${drawn}")
endif()

# A row that cannot be measured says why, and is not met.
run(1 none --rounds=1 --check --pvm=/nonexistent --json=${file} native.hello)
says("${none}" "native.hello .* no .*not measured: no pvm command at /nonexistent")
file(READ ${file} json)
string(JSON type TYPE "${json}" 0 value)
string(JSON met GET "${json}" 0 met)
string(JSON why GET "${json}" 0 why)
if(NOT type STREQUAL NULL OR met)
  message(FATAL_ERROR "JSON of a row that was not measured: ${json}")
endif()

# Bad input.
run(2 text --rounds=0)
says("${text}" "--rounds=0: not a number from 1 to")
run(2 text no-such-row)
says("${text}" "no row's name contains \"no-such-row\"")
run(2 text --rounds=1 --json=/nonexistent/x.json hypercall)
says("${text}" "/nonexistent/x.json: No such file or directory")
run(2 text --rounds=1 --svg=/nonexistent/x.svg hypercall)
says("${text}" "/nonexistent/x.svg: No such file or directory")
run(2 text one two)
says("${text}" "one FILTER at most, not \"two\"")
run(0 text --help)
says("${text}" "Examples:")
