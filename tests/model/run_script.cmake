# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# Runs one script under the model and compares status and error line.
if(NOT STATUS)
  set(STATUS 0)
endif()
execute_process(COMMAND ${PVM} run --backend=model --smp=${SMP} --timeout=30 ${ELF}
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE error)
message("${output}${error}")
if(NOT status EQUAL STATUS)
  message(FATAL_ERROR "status ${status}, not ${STATUS}")
endif()
if(FAILS)
  string(FIND "${error}" "${FAILS}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "the error does not say: ${FAILS}")
  endif()
elseif(STATUS EQUAL 0 AND NOT error STREQUAL "")
  message(FATAL_ERROR "an error line in a run without error")
endif()
