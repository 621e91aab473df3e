# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# The target `coverage` (with -DPVM_COVERAGE=ON): runs the tests that count,
# then measures the lines of libpvm they reach. Fails below the owner's limit.
set(PVM_COVERAGE_MINIMUM 95)	# percent of libpvm's lines

find_program(GCOVR gcovr REQUIRED)
add_custom_target(coverage
  COMMAND find ${CMAKE_BINARY_DIR} -name "*.gcda" -delete
  COMMAND ${CMAKE_CTEST_COMMAND} -L "^(unit|model|guest)$" -j 2 --output-on-failure --no-tests=error
  COMMAND ${GCOVR} --root ${PROJECT_SOURCE_DIR} --object-directory ${CMAKE_BINARY_DIR}
          --filter ${PROJECT_SOURCE_DIR}/libpvm/ --exclude-unreachable-branches
          --fail-under-line ${PVM_COVERAGE_MINIMUM} --print-summary
          --txt ${CMAKE_BINARY_DIR}/coverage.txt ${CMAKE_BINARY_DIR}
  WORKING_DIRECTORY ${CMAKE_BINARY_DIR} USES_TERMINAL VERBATIM)
