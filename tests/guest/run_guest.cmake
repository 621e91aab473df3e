# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# Run GUEST under PVM with SMP CPUs: it must exit with 0, and its plan line
# must count at least CHECKS checks and no failure.
execute_process(COMMAND ${PVM} run --timeout=60 --smp=${SMP} ${GUEST}
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
if(CMAKE_MATCH_1 LESS CHECKS)
  message(FATAL_ERROR "${CMAKE_MATCH_1} checks, expected at least ${CHECKS}")
endif()
