# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# cmake -DPROGRAM=... -DSUITE=... -P counted.cmake: the suite runs its one test,
# says which assertion failed, and the program's status says so as well.
execute_process(COMMAND ${PROGRAM} --filter ${SUITE}/fails
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
message("${output}")
if(status EQUAL 0)
  message(FATAL_ERROR "${SUITE}: an assertion failed, and the test passed")
endif()
if(NOT output MATCHES "Tested: .*1.* Passing")
  message(FATAL_ERROR "${SUITE}: not one test was run")
endif()
if(NOT output MATCHES "assertion_places\\.c:|fixture\\.c:")
  message(FATAL_ERROR "${SUITE}: the failed assertion is not named")
endif()
