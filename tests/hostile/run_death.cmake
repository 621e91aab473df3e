# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# Run GUEST under PVM: the VM must die (status 126), with a line that has the words
# of DIES.
execute_process(COMMAND ${PVM} run --backend=native --timeout=600 ${GUEST}
  RESULT_VARIABLE status OUTPUT_VARIABLE console ERROR_VARIABLE errors)
message("${console}${errors}")
if(NOT status EQUAL 126)
  message(FATAL_ERROR "exit status ${status}")
endif()
if(NOT errors MATCHES "triple fault.*${DIES}")
  message(FATAL_ERROR "no line that says why")
endif()
