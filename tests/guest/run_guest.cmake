# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# Run GUEST under PVM with SMP CPUs: it must exit with 0, and its plan line
# must count at least CHECKS checks and no failure. With LIKE, a program, the
# guest must print the line that this program prints as a plain process.
execute_process(COMMAND ${PVM} run --backend=native --timeout=600 --smp=${SMP} ${GUEST}
  RESULT_VARIABLE status OUTPUT_VARIABLE console ERROR_VARIABLE errors)
message("${console}")
if(errors)
  message("${errors}")
endif()
if(NOT status EQUAL 0)
  message(FATAL_ERROR "exit status ${status}")
endif()
if(NOT console MATCHES "# ([0-9]+) checks, 0 failed, [0-9]+ skipped")
  message(FATAL_ERROR "no plan line")
endif()
set(checks ${CMAKE_MATCH_1})
# What this CPU has not is said, and not passed over.
get_filename_component(name ${GUEST} NAME_WE)
string(REGEX MATCHALL "skip [0-9]+ - [^\n]*" skipped "${console}")
foreach(line IN LISTS skipped)
  message("excused: ${name}: ${line}")
endforeach()
if(LIKE)
  execute_process(COMMAND ${LIKE} OUTPUT_VARIABLE line OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE status)
  message("a plain process: ${line}")
  string(FIND "\n${console}" "\n${line}\n" at)
  if(NOT status EQUAL 0 OR at EQUAL -1)
    message(FATAL_ERROR "the guest does not print what a plain process does: ${line}")
  endif()
endif()
if(checks LESS CHECKS)
  message(FATAL_ERROR "${checks} checks, expected at least ${CHECKS}")
endif()
